//! What was not used, and the one word that says why.

use crate::record::Origin;
use crate::task::Task;
use std::ops::Range;
use std::sync::Arc;

/// A stop on the road, as the ledger and the rejects name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Bytes to documents, or to labelled rows.
    Read,
    /// Rows to those that caps and weights take, each as often as they say.
    Draw,
    /// Rendered text to the fields of its row.
    Lift,
    /// Rows to rendered templates.
    Template,
    /// Documents to passages.
    Chunk,
    /// Passages to prompts: one for each task kind.
    Prompt,
    /// Prompts to completions: one for each sample.
    Generate,
    /// Completions, or rendered templates, to instruction and response.
    Parse,
    /// What code can check of an example.
    Check,
    /// Rows of a dataset to records, and those to rows of another shape.
    Convert,
    /// Instances without instructions to rows of another style.
    Restyle,
    /// Examples to rows on disk.
    Write,
}

impl Stage {
    /// The stages of the road from text, in its order.
    pub const FROM_TEXT: [Self; 7] =
        [Self::Read, Self::Chunk, Self::Prompt, Self::Generate, Self::Parse, Self::Check, Self::Write];

    /// The stages of the road from labelled rows, in its order.
    pub const FROM_ROWS: [Self; 7] =
        [Self::Read, Self::Draw, Self::Lift, Self::Template, Self::Parse, Self::Check, Self::Write];

    /// The stages of the road from one shape to another, in its order.
    pub const FROM_DATASET: [Self; 3] = [Self::Read, Self::Convert, Self::Write];

    /// The stages of the road from one instruction style to another, in its order.
    pub const FROM_STYLES: [Self; 5] = [Self::Read, Self::Convert, Self::Lift, Self::Restyle, Self::Write];
    /// The stages of the road from several datasets to one, in its order.
    pub const FROM_SOURCES: [Self; 4] = [Self::Read, Self::Convert, Self::Draw, Self::Write];

    /// The stages of the road from a seed, in its order.
    pub const FROM_SEED: [Self; 3] = [Self::Generate, Self::Check, Self::Write];

    /// The word for it in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Draw => "draw",
            Self::Lift => "lift",
            Self::Template => "template",
            Self::Chunk => "chunk",
            Self::Prompt => "prompt",
            Self::Generate => "generate",
            Self::Parse => "parse",
            Self::Check => "check",
            Self::Convert => "convert",
            Self::Restyle => "restyle",
            Self::Write => "write",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident $stage:ident $word:literal $about:literal;)*) => {
        /// Why something was not used: a closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $about] $variant,)* }

        impl Reason {
            /// Every reason, by stage.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in reports and rejects.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Where on the road it is found.
            pub fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage,)* }
            }

            /// What it means, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

reasons! {
    InvalidJson Read "invalid_json" "The line is not a JSON object.";
    InvalidUtf8 Read "invalid_utf8" "The bytes are not UTF-8.";
    InvalidRow Read "invalid_row" "The row has another number of fields than the table's head, or one of a shape that is not read.";
    MissingColumn Read "missing_column" "The row has no value in a column that is needed.";
    NotText Read "not_text" "The text column holds something else than a string.";
    NoMatch Read "no_match" "The text is not as the adapter's pattern says.";
    UnknownValue Read "unknown_value" "A value is none of those that the adapter knows.";
    Unreadable Read "unreadable" "The file, or the rest of it, can't be read or understood.";
    EmptyText Read "empty_text" "There is no text, or only blanks.";
    NotDrawn Draw "not_drawn" "The cap, the weight or the share of its dataset takes fewer rows.";
    UnknownTemplate Lift "unknown_template" "The template that the row says it was rendered with isn't there.";
    Unliftable Lift "unliftable" "The row's template can't be read backwards.";
    NotLifted Lift "not_lifted" "The rendered text doesn't fit the template that it is said to come from.";
    Ambiguous Lift "ambiguous" "Several rows would render to this text.";
    NoTemplate Template "no_template" "There is no template for the row's dataset.";
    MissingField Template "missing_field" "The row lacks a field that the template reads.";
    MarkerInRow Template "marker_in_row" "The row holds `{{context}}`, or `|||` inside a list or object.";
    NotRendered Template "not_rendered" "The row's fields have another shape than the template expects.";
    NoSeparator Parse "no_separator" "The template renders to one part: nothing parts prompt and completion.";
    SeveralSeparators Parse "several_separators" "The template renders to more than two parts.";
    TooLong Prompt "too_long" "The prompt leaves no room for an answer in the model's window.";
    Declined Generate "declined" "The generator found nothing to make of this passage.";
    Refused Generate "refused" "The model refuses this one prompt; its message is the raw text.";
    Exhausted Generate "exhausted" "No draw of the sample had just one right answer.";
    Truncated Parse "truncated" "The completion was cut off at the token limit.";
    NoPipe Parse "no_pipe" "There is no `<|pipe|>` between instruction and response.";
    SeveralPipes Parse "several_pipes" "There is more than one `<|pipe|>`.";
    InvalidAnswer Parse "invalid_answer" "The answer is not the JSON object that was asked for.";
    EmptyInstruction Parse "empty_instruction" "The instruction is empty, or is nothing but the passage.";
    EmptyResponse Parse "empty_response" "The response is empty.";
    LeakedMarker Parse "leaked_marker" "A marker of the prompt or of a chat template stands in the text.";
    AnswerNotInText Check "answer_not_in_text" "The extractive answer does not occur in the passage.";
    NotYesNo Check "not_yes_no" "The answer to a yes-no question is neither.";
    NotALabel Check "not_a_label" "The response is not one of the labels of this kind of task.";
    NotAnOption Check "not_an_option" "The answer is not among the options, or the options are too few or repeated.";
    GivenAway Check "given_away" "The instruction gives the answer away.";
    NumberNotInText Check "number_not_in_text" "A number in the response stands nowhere in passage or instruction.";
    QuestionIsAnswer Check "question_is_answer" "Instruction and response are the same.";
    NotShorter Check "not_shorter" "The summary is no shorter than the passage.";
    NoPassage Check "no_passage" "The passage is empty, or stands nowhere in instruction and response.";
    OnlyPassage Check "only_passage" "The response is nothing but the passage.";
    Duplicate Check "duplicate" "The same example came before: of the same passage, or of any labelled row.";
    Unverified Check "unverified" "The rule, read anew from the text, gives another answer than the sample has.";
    UnknownShape Convert "unknown_shape" "The row has none of the shapes that are known.";
    OtherShape Convert "other_shape" "The row has another shape than the rest of its file.";
    MissingKey Convert "missing_key" "The row, or an object in it, lacks a key of its shape.";
    NullValue Convert "null_value" "There is a null where a value is needed.";
    DuplicateKey Convert "duplicate_key" "An object has a key twice.";
    WrongType Convert "wrong_type" "A value is of another type than its shape says.";
    LengthMismatch Convert "length_mismatch" "Two lists that belong together are not equally long.";
    UnknownRole Convert "unknown_role" "A message is of a role that its shape doesn't have.";
    BrokenMarkup Convert "broken_markup" "The delimiters of a text of messages don't pair.";
    RoleOrder Convert "role_order" "The turns of a conversation don't alternate.";
    EmptyTarget Convert "empty_target" "There is no answer, or it is empty.";
    UndefinedTool Convert "undefined_tool" "A function is called that the row's tools don't define.";
    InvalidArguments Convert "invalid_arguments" "The arguments of a call are not JSON.";
    UnmatchedTool Convert "unmatched_tool" "A result names a call that isn't before it.";
    PromptMismatch Convert "prompt_mismatch" "The two answers don't begin with the same prompt.";
    DuplicateRank Convert "duplicate_rank" "Two answers have the same rank.";
    SameAnswers Convert "same_answers" "The answer that is liked better and the other one are the same.";
    NothingTrained Convert "nothing_trained" "The loss counts no answer.";
    MarkerInText Convert "marker_in_text" "The text holds a delimiter of the shape that is asked for, and would change its structure.";
    Unfit Convert "unfit" "The record lacks what the shape that is asked for can't do without.";
    NoDefinition Restyle "no_definition" "Nothing in the task's rows says what is to be done, and no definition was given.";
}

/// Something that was not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// Why.
    pub reason: Reason,
    /// Which source, and which line or row of it.
    pub origin: Origin,
    /// The document, from the time it has an id.
    pub document: Option<Arc<str>>,
    /// The bytes of the document's text, from the time it is a passage.
    pub span: Option<Range<usize>>,
    /// What was asked for, from the time something was.
    pub task: Option<Task>,
    /// Which sample, from the time there is one.
    pub sample: Option<u32>,
    /// The text as it came: a line, a completion, or the message of what could not read it.
    pub raw: String,
}

impl Reject {
    /// A reject of the reading stage.
    pub fn read(reason: Reason, origin: Origin, raw: impl Into<String>) -> Self {
        Self { reason, origin, document: None, span: None, task: None, sample: None, raw: raw.into() }
    }
}
