//! How an answer is sent: whole, or as server-sent events while it is made.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use serde_json::Value;

use crate::answer::Answer;
use crate::job::{Heard, Job};
use crate::refusal::Refusal;

/// The body of an answer.
pub(crate) enum Body {
    Whole(Bytes),
    Stream(Box<Stream>),
}

/// An answer that comes in pieces.
pub(crate) struct Stream {
    job: Job,
    answer: Answer,
    /// What is ready to be sent.
    text: String,
    is_over: bool,
}

impl Stream {
    pub(crate) fn new(job: Job, mut answer: Answer) -> Self {
        answer.begin();
        let mut stream = Self { job, answer, text: String::new(), is_over: false };
        for piece in stream.answer.first_pieces() {
            stream.push(&piece);
        }
        stream
    }

    fn push(&mut self, piece: &Value) {
        self.text += &format!("data: {piece}\n\n");
    }

    /// Takes everything that has happened; says whether anything is still to come.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while !self.is_over
            && let Poll::Ready(heard) = self.job.poll_next(cx)
        {
            let taken = match heard {
                Heard::Event(index, event) => {
                    self.answer.take(index, event).map(|()| self.answer.piece(index))
                }
                Heard::Over => {
                    self.is_over = true;
                    Ok(self.answer.last_piece())
                }
                Heard::Failed => Err(failed()),
            };
            match taken {
                Ok(Some(piece)) => self.push(&piece),
                Ok(None) => {}
                // The status is out already, so this is how OpenAI's API says it.
                Err(refusal) => {
                    self.is_over = true;
                    self.push(&refusal.body());
                }
            }
            if self.is_over {
                self.text += "data: [DONE]\n\n";
            }
        }
    }
}

/// What is said when the model doesn't answer any more.
pub(crate) fn failed() -> Refusal {
    Refusal::new(500, "server_error", "the model has failed; the server must be started again")
        .with_code("model_failed")
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut *self {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Stream(stream) => {
                stream.fill(cx);
                if stream.text.is_empty() && !stream.is_over {
                    return Poll::Pending;
                }
                std::mem::take(&mut stream.text).into()
            }
        };
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.is_over && stream.text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
