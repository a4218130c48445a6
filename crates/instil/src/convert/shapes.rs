//! The table of shapes, in the order in which a row is tried against them: the first that fits is what it is.

use super::alpaca::Alpaca;
use super::answer_messages::{Messages, OpenAiPreference, PromptAt};
use super::answer_texts::Texts;
use super::chat::Chat;
use super::chatml::ChatMl;
use super::choices::Choices;
use super::creative::Creative;
use super::dialect::{AXOLOTL, COHERE, OPENAI, PYGMALION, SHAREGPT};
use super::harmony::Harmony;
use super::instructions::Instructions;
use super::p3::P3;
use super::pair::Pair;
use super::plain::{Prompt, Text};
use super::prompts::PromptMessages;
use super::ranked::Answers;
use super::rendered::Rendered;
use super::segments::Segments;
use super::steps::Stepwise;
use super::task_file::TaskFile;
use super::tk_instruct::TkInstruct;
use super::tokens::Tokens;
use super::{Holds, Shape};

/// A shape whose row holds one record.
macro_rules! shape {
    ($name:literal, [$($also:literal),*], $about:literal, $form:expr) => {
        Shape { name: $name, also: &[$($also),*], about: $about, form: Holds::Record(&$form) }
    };
}

/// A shape of prompt and completion under these names.
macro_rules! pair {
    ($name:literal, [$($also:literal),*], $about:literal, $prompt:literal, $completion:literal) => {
        shape!($name, [$($also),*], $about, Pair {
            prompt: $prompt,
            completion: $completion,
            columns: &[$prompt, $completion],
            ..Pair::BARE
        })
    };
}

/// A shape of two answers under these names.
macro_rules! texts {
    ($name:literal, [$($also:literal),*], $about:literal, $system:expr, $prompt:expr, $chosen:literal,
     $rejected:literal, $columns:expr) => {
        shape!($name, [$($also),*], $about, Texts {
            definition: None,
            prompt: $prompt,
            system: $system,
            chosen: $chosen,
            rejected: $rejected,
            columns: &$columns,
        })
    };
}

/// Every shape that is known.
pub static SHAPES: &[Shape] = &[
    Shape {
        name: "super-ni",
        also: &["natural-instructions", "super-natural-instructions"],
        about: "Super-NaturalInstructions: a task's definition, its examples and all instances in one object.",
        form: Holds::Task(&TaskFile),
    },
    Shape {
        name: "unnatural-instructions",
        also: &["unnatural"],
        about: "Unnatural Instructions: an instruction with its instances, their constraints and reformulations.",
        form: Holds::Task(&Instructions { is_unnatural: true }),
    },
    Shape {
        name: "self-instruct",
        also: &[],
        about: "Self-Instruct: an instruction with its instances.",
        form: Holds::Task(&Instructions { is_unnatural: false }),
    },
    shape!(
        "tokens",
        ["axolotl.pretokenized", "axolotl.tokenized"],
        "axolotl's tokenised rows: `input_ids`, `attention_mask`, `labels`.",
        Tokens
    ),
    shape!(
        "openai-dpo",
        ["openai.preference", "together.preference", "fireworks.preference"],
        "OpenAI's preferences: `input`, `preferred_output`, `non_preferred_output`.",
        OpenAiPreference
    ),
    shape!(
        "segments",
        ["axolotl.input_output"],
        "axolotl's `input_output`: spans of a text, of which the loss counts some.",
        Segments
    ),
    shape!(
        "stepwise",
        ["trl.stepwise", "axolotl.stepwise_supervised"],
        "TRL's stepwise supervision: a prompt, steps and whether each is right.",
        Stepwise
    ),
    shape!("nectar", ["axolotl.zephyr.nectar"], "A prompt and several answers with their ranks.", Answers),
    shape!(
        "preference-messages",
        ["trl.preference-conversational"],
        "Prompt and two answers, each a list of messages.",
        Messages { prompt: PromptAt::List("prompt"), dialect: OPENAI, is_single: false }
    ),
    shape!(
        "preference-ultra",
        ["axolotl.chatml.ultra", "axolotl.llama3.ultra", "axolotl.orpo.chat_template.argilla"],
        "Two conversations, of which one ends better, beside their prompt as a text.",
        Messages { prompt: PromptAt::Text("prompt"), dialect: OPENAI, is_single: false }
    ),
    shape!(
        "preference-chat",
        ["axolotl.dpo.chat_template", "llamafactory.openai-ranking"],
        "A list of messages and two messages that go on from it.",
        Messages { prompt: PromptAt::List("messages"), dialect: OPENAI, is_single: true }
    ),
    shape!(
        "preference-sharegpt",
        ["llamafactory.sharegpt-ranking"],
        "ShareGPT's conversations and two messages that go on from them.",
        Messages { prompt: PromptAt::List("conversations"), dialect: SHAREGPT, is_single: true }
    ),
    texts!(
        "dpo-intel",
        ["axolotl.chatml.intel", "axolotl.llama3.intel"],
        "Question and two answers as texts, with standing instructions.",
        Some("system"),
        Some("question"),
        "chosen",
        "rejected",
        ["system", "question", "chosen", "rejected"]
    ),
    texts!(
        "dpo-icr",
        ["axolotl.chatml.icr", "axolotl.llama3.icr"],
        "Input and two answers as texts, with standing instructions.",
        Some("system"),
        Some("input"),
        "chosen",
        "rejected",
        ["system", "input", "chosen", "rejected"]
    ),
    texts!(
        "dpo-prompt-pairs",
        ["axolotl.chatml.prompt_pairs", "axolotl.llama3.prompt_pairs"],
        "Prompt and two answers as texts, with standing instructions.",
        Some("system"),
        Some("prompt"),
        "chosen",
        "rejected",
        ["system", "prompt", "chosen", "rejected"]
    ),
    texts!(
        "dpo-argilla",
        ["axolotl.chatml.argilla", "axolotl.llama3.argilla"],
        "Instruction and two responses as texts, with standing instructions.",
        Some("system"),
        Some("instruction"),
        "chosen_response",
        "rejected_response",
        ["system", "instruction", "chosen_response", "rejected_response"]
    ),
    texts!(
        "preference",
        ["trl.preference"],
        "Prompt and two answers as texts.",
        None,
        Some("prompt"),
        "chosen",
        "rejected",
        ["prompt", "chosen", "rejected"]
    ),
    texts!(
        "preference-question",
        [],
        "Question and two answers as texts.",
        None,
        Some("question"),
        "chosen",
        "rejected",
        ["question", "chosen", "rejected"]
    ),
    texts!(
        "preference-instruction",
        [],
        "Instruction and two responses as texts.",
        None,
        Some("instruction"),
        "chosen_response",
        "rejected_response",
        ["instruction", "chosen_response", "rejected_response"]
    ),
    shape!(
        "llamafactory-ranking",
        ["llamafactory.alpaca-ranking"],
        "Alpaca's instruction and input with two answers.",
        Texts {
            definition: Some("instruction"),
            prompt: Some("input"),
            system: None,
            chosen: "chosen",
            rejected: "rejected",
            columns: &["instruction", "input", "chosen", "rejected"],
        }
    ),
    shape!(
        "preference-implicit-messages",
        ["trl.preference-implicit-conversational", "torchtune.preference", "axolotl.chatml.argilla_chat"],
        "Two conversations, of which one ends better.",
        Messages { prompt: PromptAt::Both, dialect: OPENAI, is_single: false }
    ),
    texts!(
        "preference-implicit",
        ["trl.preference-implicit"],
        "Two texts that begin with the same prompt.",
        None,
        None,
        "chosen",
        "rejected",
        ["chosen", "rejected"]
    ),
    shape!(
        "unpaired-messages",
        ["trl.unpaired-preference-conversational"],
        "Prompt and completion as lists of messages, and whether the completion is good.",
        PromptMessages { has_completion: true, has_label: true }
    ),
    shape!(
        "kto-prompt-pairs",
        [
            "axolotl.kto.chatml.prompt_pairs",
            "axolotl.kto.llama3.prompt_pairs",
            "axolotl.kto.chatml.ultra",
            "axolotl.kto.llama3.ultra"
        ],
        "Prompt and completion, with standing instructions, and whether the completion is good.",
        Pair {
            system: Some("system"),
            label: Some("label"),
            columns: &["system", "prompt", "completion"],
            ..Pair::BARE
        }
    ),
    shape!(
        "unpaired",
        ["trl.unpaired-preference", "kto"],
        "Prompt and completion as texts, and whether the completion is good.",
        Pair { label: Some("label"), ..Pair::BARE }
    ),
    shape!(
        "kto-chat",
        ["axolotl.kto.chatml.argilla_chat", "axolotl.kto.llama3.argilla_chat"],
        "A conversation as a list of messages, and whether its last answer is good.",
        Chat { list: "completion", dialect: OPENAI, is_sharegpt: false, label: Some("label") }
    ),
    shape!(
        "kto-intel",
        ["axolotl.kto.chatml.intel", "axolotl.kto.llama3.intel"],
        "Question and completion, with standing instructions, and whether the completion is good.",
        Pair {
            prompt: "question",
            system: Some("system"),
            label: Some("label"),
            columns: &["system", "question", "completion"],
            ..Pair::BARE
        }
    ),
    shape!(
        "kto-argilla",
        ["axolotl.kto.chatml.argilla", "axolotl.kto.llama3.argilla"],
        "Instruction and completion, with standing instructions, and whether the completion is good.",
        Pair {
            prompt: "instruction",
            system: Some("system"),
            label: Some("label"),
            columns: &["system", "instruction", "completion"],
            ..Pair::BARE
        }
    ),
    shape!(
        "llamafactory-kto-openai",
        [],
        "A list of messages, and in `kto_tag` whether its last answer is good.",
        Chat { list: "messages", dialect: OPENAI, is_sharegpt: false, label: Some("kto_tag") }
    ),
    shape!(
        "llamafactory-kto-sharegpt",
        ["llamafactory.sharegpt-kto"],
        "ShareGPT's conversations, and in `kto_tag` whether the last answer is good.",
        Chat { list: "conversations", dialect: SHAREGPT, is_sharegpt: true, label: Some("kto_tag") }
    ),
    shape!(
        "llamafactory-kto",
        ["llamafactory.alpaca-kto"],
        "Alpaca, and in `kto_tag` whether the output is good.",
        Alpaca { has_history: true, label: Some("kto_tag"), ..Alpaca::BARE }
    ),
    shape!(
        "axolotl-chat",
        ["axolotl.chat_template"],
        "A list of messages that say by `train` whether the loss counts them.",
        Chat { list: "messages", dialect: AXOLOTL, is_sharegpt: false, label: None }
    ),
    shape!(
        "cohere",
        ["cohere.messages"],
        "OpenAI's messages with the roles System, User and Chatbot.",
        Chat { list: "messages", dialect: COHERE, is_sharegpt: false, label: None }
    ),
    shape!(
        "messages",
        [
            "openai",
            "trl.messages",
            "torchtune.openai",
            "torchtune.json",
            "mistral",
            "llamafactory.openai",
            "together.messages",
            "fireworks.messages"
        ],
        "A list of role and content, with tools where there are any.",
        Chat { list: "messages", dialect: OPENAI, is_sharegpt: false, label: None }
    ),
    shape!(
        "sharegpt",
        ["llamafactory.sharegpt", "torchtune.sharegpt", "axolotl.sharegpt"],
        "ShareGPT: `conversations`, a list of `from` and `value`.",
        Chat { list: "conversations", dialect: SHAREGPT, is_sharegpt: true, label: None }
    ),
    shape!(
        "pygmalion",
        ["axolotl.pygmalion"],
        "ShareGPT's conversations with `role` for `from`.",
        Chat { list: "conversations", dialect: PYGMALION, is_sharegpt: true, label: None }
    ),
    shape!(
        "conversations-messages",
        [],
        "OpenAI's messages under the key `conversations`.",
        Chat { list: "conversations", dialect: OPENAI, is_sharegpt: false, label: None }
    ),
    shape!(
        "reflection",
        ["axolotl.reflection"],
        "Alpaca with an output, a reflection on it and the corrected output, which is to be learnt.",
        Alpaca { output: "corrected", fields: &["output", "reflection"], ..Alpaca::BARE }
    ),
    shape!(
        "creative-revise",
        ["axolotl.creative_acr.load_revise"],
        "Instruction, answer and what is said of it, with a revision.",
        Creative { has_revision: true }
    ),
    shape!(
        "creative-critique",
        ["axolotl.creative_acr.load_critique"],
        "Instruction, answer and what is said of it.",
        Creative { has_revision: false }
    ),
    shape!(
        "llamafactory-alpaca",
        ["llamafactory.alpaca"],
        "Alpaca with `system` and `history`.",
        Alpaca { has_history: true, ..Alpaca::BARE }
    ),
    shape!("alpaca", ["axolotl.alpaca"], "Instruction, input and output.", Alpaca::BARE),
    shape!(
        "gpteacher",
        ["axolotl.gpteacher", "axolotl.alpaca_chat", "axolotl.alpaca_chat.load_concise"],
        "Instruction, input and response.",
        Alpaca { output: "response", ..Alpaca::BARE }
    ),
    shape!(
        "ctga",
        [],
        "The published training set of Bonito: a generator's pairs, with what they were made of.",
        Pair {
            prompt: "input",
            completion: "output",
            fields: &["context", "task_input", "task_output", "task_type", "dataset", "dataset_config"],
            columns: &[
                "context",
                "task_input",
                "task_output",
                "task_type",
                "dataset",
                "dataset_config",
                "input",
                "output",
            ],
            ..Pair::BARE
        }
    ),
    shape!(
        "p3",
        ["promptsource"],
        "P3: rendered templates, as text in `inputs_pretokenized` and `targets_pretokenized`, with their choices.",
        P3
    ),
    shape!(
        "super-ni-rows",
        ["natural-instructions-rows"],
        "Super-NaturalInstructions, a row for each instance: `definition`, `inputs`, `targets`.",
        Pair {
            prompt: "inputs",
            completion: "targets",
            definition: Some("definition"),
            columns: &["definition", "inputs", "targets"],
            ..Pair::BARE
        }
    ),
    pair!("flan", ["inputs-targets"], "FLAN: `inputs` and `targets`.", "inputs", "targets"),
    shape!(
        "open-orca",
        ["axolotl.alpaca_w_system.load_open_orca"],
        "Question and response, with standing instructions in `system_prompt`.",
        Pair {
            prompt: "question",
            completion: "response",
            system: Some("system_prompt"),
            columns: &["system_prompt", "question", "response"],
            ..Pair::BARE
        }
    ),
    shape!(
        "explain-choice",
        ["axolotl.explainchoice"],
        "Question, a list of choices and an explanation.",
        Choices { completion: "explanation" }
    ),
    shape!(
        "concise-choice",
        ["axolotl.concisechoice"],
        "Question, a list of choices and the solution.",
        Choices { completion: "solution" }
    ),
    shape!(
        "context-qa",
        ["axolotl.context_qa.load_v2"],
        "Context, question and answer; the context stands before the question.",
        Pair {
            prompt: "question",
            completion: "answer",
            before: Some("context"),
            columns: &["context", "question", "answer"],
            ..Pair::BARE
        }
    ),
    shape!(
        "article-qa",
        ["axolotl.context_qa"],
        "Article, question and answer; the article stands before the question.",
        Pair {
            prompt: "question",
            completion: "answer",
            before: Some("article"),
            columns: &["article", "question", "answer"],
            ..Pair::BARE
        }
    ),
    shape!(
        "jeopardy",
        ["axolotl.jeopardy"],
        "Category, question and answer; the category stands before the question.",
        Pair {
            prompt: "question",
            completion: "answer",
            before: Some("category"),
            columns: &["category", "question", "answer"],
            ..Pair::BARE
        }
    ),
    pair!("oasst", ["axolotl.oasst"], "`INSTRUCTION` and `RESPONSE`.", "INSTRUCTION", "RESPONSE"),
    pair!("summarize-tldr", ["axolotl.summarizetldr"], "Article and summary.", "article", "summary"),
    pair!(
        "camel",
        ["axolotl.alpaca_chat.load_camel_ai"],
        "`message_1` and `message_2`.",
        "message_1",
        "message_2"
    ),
    pair!("metharme", ["axolotl.metharme"], "Prompt and generation.", "prompt", "generation"),
    pair!("question-answer", ["axolotl.alpaca_chat.load_qa"], "Question and answer.", "question", "answer"),
    pair!("instruction-response", [], "Instruction and response.", "instruction", "response"),
    pair!("prompt-response", [], "Prompt and response.", "prompt", "response"),
    pair!(
        "creative-answer",
        ["axolotl.creative_acr.load_answer"],
        "Instruction and revision.",
        "instruction",
        "revision"
    ),
    pair!("bonito", ["input-output", "torchtune.instruct"], "Input and output.", "input", "output"),
    pair!(
        "crossfit",
        [],
        "CrossFit: input and output, of a file `.tsv` with two columns and no head.",
        "input",
        "output"
    ),
    shape!(
        "tk-instruct",
        ["super-ni-prompts"],
        "Super-NaturalInstructions as Tk-Instruct's prompts: definition, two positive examples, query.",
        TkInstruct
    ),
    shape!("alpaca-prompt", [], "Instruction and input in the words of Alpaca's own prompt.", Rendered),
    shape!(
        "prompt-completion-messages",
        ["trl.prompt-completion-conversational"],
        "Prompt and completion, each a list of messages.",
        PromptMessages { has_completion: true, has_label: false }
    ),
    pair!(
        "prompt-completion",
        ["trl.prompt-completion", "openai.prompt-completion", "together.prompt-completion"],
        "Prompt and completion.",
        "prompt",
        "completion"
    ),
    shape!(
        "context-qa-404",
        ["axolotl.context_qa.load_404"],
        "Article and a question that it doesn't answer; axolotl has the answer.",
        Prompt {
            prompt: "unanswerable_question",
            before: Some("article"),
            columns: &["article", "unanswerable_question"],
        }
    ),
    shape!(
        "prompt-messages",
        ["trl.prompt-only-conversational"],
        "Prompts alone, as lists of messages.",
        PromptMessages { has_completion: false, has_label: false }
    ),
    shape!(
        "prompt",
        ["trl.prompt-only"],
        "Prompts alone.",
        Prompt { prompt: "prompt", before: None, columns: &["prompt"] }
    ),
    shape!("chatml", [], "A conversation as one text with ChatML's delimiters.", ChatMl),
    shape!("harmony", ["gpt-oss"], "A conversation as one text, as gpt-oss has it.", Harmony),
    shape!(
        "text",
        [
            "trl.language-modeling",
            "axolotl.completion",
            "axolotl.pretrain",
            "together.text",
            "torchtune.text-completion",
            "llamafactory.pretraining"
        ],
        "Text, for language modelling.",
        Text
    ),
];
