//! What the tools have to be told of a shape: which columns there are and what they hold.

use crate::convert::Shape;
use crate::error::{Error, Result};

/// The columns of a shape's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// A list of messages.
    Chat { list: &'static str, speech: Speech },
    /// Instruction, input and output; `history` and `system` may stand beside them.
    Alpaca { output: &'static str },
    /// Two texts, with what may stand before the first.
    Pair {
        prompt: &'static str,
        completion: &'static str,
        system: Option<&'static str>,
        before: Option<&'static str>,
    },
    /// `text`.
    Text,
    /// `prompt`, a text.
    Prompt,
    /// `prompt`, a list of messages.
    PromptMessages,
    /// `prompt` and `completion`, lists of messages.
    PromptCompletionMessages,
    /// Two answers as texts.
    Preference {
        prompt: &'static str,
        system: Option<&'static str>,
        chosen: &'static str,
        rejected: &'static str,
    },
    /// `instruction` and `input`, and two answers as texts.
    PreferenceAlpaca,
    /// Two texts that begin with the same prompt.
    PreferenceImplicit,
    /// Messages and two answers, each one message (`is_single`) or a list.
    PreferenceMessages { list: &'static str, speech: Speech, is_single: bool },
    /// Two conversations, of which one ends better.
    PreferenceImplicitMessages,
    /// `input`, `preferred_output` and `non_preferred_output`.
    OpenAiPreference,
    /// `prompt`, `completion` and `label`, texts and a boolean.
    Unpaired,
    /// The same with lists of messages.
    UnpairedMessages,
    /// `prompt`, `completions` and `labels`.
    Stepwise,
    /// `segments`.
    Segments,
    /// A task with all of its instances.
    Task,
}

/// The keys of a message and the words for who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speech {
    pub(super) role: &'static str,
    pub(super) content: &'static str,
    /// Whether the words are ShareGPT's, `human` and `gpt`.
    pub(super) is_sharegpt: bool,
}

const OPENAI: Speech = Speech { role: "role", content: "content", is_sharegpt: false };
const SHAREGPT: Speech = Speech { role: "from", content: "value", is_sharegpt: true };
const PYGMALION: Speech = Speech { role: "role", content: "value", is_sharegpt: true };

const fn pair(prompt: &'static str, completion: &'static str) -> Rows {
    Rows::Pair { prompt, completion, system: None, before: None }
}

const fn before(before: &'static str, prompt: &'static str, completion: &'static str) -> Rows {
    Rows::Pair { prompt, completion, system: None, before: Some(before) }
}

const fn preference(prompt: &'static str, system: Option<&'static str>) -> Rows {
    Rows::Preference { prompt, system, chosen: "chosen", rejected: "rejected" }
}

const fn responses(system: Option<&'static str>) -> Rows {
    Rows::Preference {
        prompt: "instruction",
        system,
        chosen: "chosen_response",
        rejected: "rejected_response",
    }
}

impl Rows {
    /// The rows of a shape.
    ///
    /// # Errors
    /// When nothing is known of it here.
    pub(super) fn of(shape: &Shape) -> Result<Self> {
        Ok(match shape.name {
            "super-ni" => Self::Task,
            "openai-dpo" => Self::OpenAiPreference,
            "segments" => Self::Segments,
            "stepwise" => Self::Stepwise,
            "preference-messages" => {
                Self::PreferenceMessages { list: "prompt", speech: OPENAI, is_single: false }
            }
            "preference-chat" => {
                Self::PreferenceMessages { list: "messages", speech: OPENAI, is_single: true }
            }
            "preference-sharegpt" => {
                Self::PreferenceMessages { list: "conversations", speech: SHAREGPT, is_single: true }
            }
            "dpo-intel" => preference("question", Some("system")),
            "dpo-icr" => preference("input", Some("system")),
            "dpo-prompt-pairs" => preference("prompt", Some("system")),
            "dpo-argilla" => responses(Some("system")),
            "preference" => preference("prompt", None),
            "preference-question" => preference("question", None),
            "preference-instruction" => responses(None),
            "llamafactory-ranking" => Self::PreferenceAlpaca,
            "preference-implicit-messages" => Self::PreferenceImplicitMessages,
            "preference-implicit" => Self::PreferenceImplicit,
            "unpaired-messages" => Self::UnpairedMessages,
            "unpaired" => Self::Unpaired,
            "axolotl-chat" | "messages" => Self::Chat { list: "messages", speech: OPENAI },
            "sharegpt" => Self::Chat { list: "conversations", speech: SHAREGPT },
            "pygmalion" => Self::Chat { list: "conversations", speech: PYGMALION },
            "conversations-messages" => Self::Chat { list: "conversations", speech: OPENAI },
            "llamafactory-alpaca" | "alpaca" => Self::Alpaca { output: "output" },
            "gpteacher" => Self::Alpaca { output: "response" },
            "p3" => pair("inputs_pretokenized", "targets_pretokenized"),
            "super-ni-rows" => before("definition", "inputs", "targets"),
            "flan" => pair("inputs", "targets"),
            "open-orca" => Self::Pair {
                prompt: "question",
                completion: "response",
                system: Some("system_prompt"),
                before: None,
            },
            "context-qa" => before("context", "question", "answer"),
            "article-qa" => before("article", "question", "answer"),
            "jeopardy" => before("category", "question", "answer"),
            "oasst" => pair("INSTRUCTION", "RESPONSE"),
            "summarize-tldr" => pair("article", "summary"),
            "camel" => pair("message_1", "message_2"),
            "metharme" => pair("prompt", "generation"),
            "question-answer" => pair("question", "answer"),
            "instruction-response" => pair("instruction", "response"),
            "prompt-response" => pair("prompt", "response"),
            "creative-answer" => pair("instruction", "revision"),
            "ctga" | "bonito" => pair("input", "output"),
            "prompt-completion-messages" => Self::PromptCompletionMessages,
            "prompt-completion" | "alpaca-prompt" | "tk-instruct" => pair("prompt", "completion"),
            "prompt-messages" => Self::PromptMessages,
            "prompt" => Self::Prompt,
            "chatml" | "harmony" | "text" => Self::Text,
            other => {
                return Err(Error::usage(format!("there are no companions for rows of `{other}`"))
                    .with_hint("`instil convert … --to messages` makes rows that have some"));
            }
        })
    }
}
