//! The prompt that the published Bonito models were trained with (spec/bonito.md 1.2), and the two
//! text operations of Python that its bytes depend on.

use crate::task::TaskKind;

/// What stands for the passage in a completion.
pub const PLACEHOLDER: &str = "{{context}}";
/// What parts instruction and response.
pub const PIPE: &str = "<|pipe|>";

const TASK_TYPE: &str = "<|tasktype|>\n";
const CONTEXT: &str = "\n<|context|>\n";
const TASK: &str = "\n<|task|>\n";

/// The prompt for `kind` over `context`, byte for byte as `BatsResearch/bonito` HEAD 1e1efb2 makes it.
///
/// ```
/// use instil::{TaskKind, prompt::bonito::prompt};
/// assert_eq!(
///     prompt(TaskKind::Nli, "  A cat sat.\n"),
///     "<|tasktype|>\nnatural language inference\n<|context|>\nA cat sat.\n<|task|>\n",
/// );
/// ```
pub fn prompt(kind: TaskKind, context: &str) -> String {
    [TASK_TYPE, kind.full(), CONTEXT, python_strip(context), TASK].concat()
}

/// The completion that a task generator is trained to give, without the end-of-sequence token (spec/bonito.md
/// 1.3); where the passage belongs, instruction or response hold [`PLACEHOLDER`].
///
/// ```
/// use instil::prompt::bonito::target;
/// assert_eq!(target(" {{context}}\nIs it a cat?\n", "Yes "), "{{context}}\nIs it a cat?\n<|pipe|>\nYes");
/// ```
pub fn target(instruction: &str, response: &str) -> String {
    [python_strip(instruction), "\n", PIPE, "\n", python_strip(response)].concat()
}

/// The kind and context that [`prompt`] was given, if the text is such a prompt.
///
/// The context ends at the last `<|task|>`, so a marker inside it changes nothing.
pub fn read(prompt: &str) -> Option<(TaskKind, &str)> {
    let (kind, rest) = prompt.strip_prefix(TASK_TYPE)?.split_once(CONTEXT)?;
    Some((TaskKind::parse(kind).ok()?, rest.strip_suffix(TASK)?))
}

/// Python's `str.strip()`: Rust's [`str::trim`] and U+001C to U+001F besides.
pub fn python_strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_strips_four_more_characters_than_rust() {
        assert_eq!(python_strip("\u{1c}\u{1f} a\u{1d}b \u{85}\u{1e}"), "a\u{1d}b");
        assert_eq!(python_strip("\u{200b}a"), "\u{200b}a");
    }

    #[test]
    fn a_target_is_stripped_and_parted_by_one_pipe() {
        assert_eq!(target("\u{1f} a\n b \n", "\tc\u{85}"), "a\n b\n<|pipe|>\nc");
        assert_eq!(target("", ""), "\n<|pipe|>\n");
    }

    #[test]
    fn a_prompt_is_read_back_whatever_its_context_says() {
        for context in ["A cat sat.", "", "x\n<|task|>\ny", "x\n<|context|>\n<|pipe|>"] {
            for kind in TaskKind::ALL {
                assert_eq!(read(&prompt(kind, context)), Some((kind, context)));
            }
        }
        assert_eq!(read("Say hello."), None);
    }
}
