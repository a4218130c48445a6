//! Definitions of functions: a list, as OpenAI's messages have them, or a string that holds it as JSON, as
//! ShareGPT's conversations do.

use serde_json::{Map, Value, json};

use super::keys::{Keys, Misfit, list};
use super::record::Record;
use crate::reject::Reason;

/// The tools of a row. `is_text` says that the shape has them as a string; the other spelling is read too.
pub(super) fn read_tools(keys: &mut Keys<'_>, is_text: bool) -> Result<Option<Value>, Misfit> {
    let at = keys.at();
    match keys.value("tools") {
        None => Ok(None),
        Some(tools @ Value::Array(_)) => {
            if is_text {
                keys.spell("tools", tools.clone());
            }
            Ok(Some(tools.clone()))
        }
        Some(Value::String(text)) if text.trim().is_empty() => {
            keys.spell("tools", text.as_str().into());
            Ok(None)
        }
        Some(Value::String(text)) => {
            let parsed = serde_json::from_str::<Value>(text).ok().filter(Value::is_array);
            let tools = parsed.ok_or_else(|| {
                at.key("tools").misfit(Reason::WrongType, "the string should hold a list as JSON")
            })?;
            let again = tools.to_string();
            if !is_text || again != *text {
                keys.spell("tools", text.as_str().into());
            }
            Ok(Some(tools))
        }
        Some(other) => Err(at.key("tools").wrong_type("a list of functions", other)),
    }
}

/// `functions`, the older form of `tools`: the same definitions without what says that they are functions.
pub(super) fn read_functions(keys: &mut Keys<'_>) -> Result<Option<Value>, Misfit> {
    let at = keys.at();
    let Some(functions) = keys.value("functions") else { return Ok(None) };
    let tools = list(functions, &at.key("functions"))?.iter().map(as_tool).collect();
    keys.spell("functions", functions.clone());
    Ok(Some(Value::Array(tools)))
}

/// Puts the tools of a record into a row, unless they came as `functions` and go back as those.
pub(super) fn write_tools(record: &Record, is_same: bool, is_text: bool, row: &mut Map<String, Value>) {
    let Some(tools) = &record.tools else { return };
    if is_same && record.spelling.get("functions").is_some_and(Value::is_array) {
        return;
    }
    let tools = if is_text { tools.to_string().into() } else { tools_of(tools, is_same) };
    row.insert("tools".to_owned(), tools);
}

/// A definition of a function as OpenAI's `tools` have it.
fn as_tool(function: &Value) -> Value {
    json!({"type": "function", "function": function})
}

/// Tools as OpenAI's messages have them: ShareGPT's may be bare definitions. Those that were read from messages
/// stay as they are.
fn tools_of(tools: &Value, is_same: bool) -> Value {
    let is_bare = |tool: &Value| tool.get("function").is_none() && tool.get("name").is_some();
    match tools {
        Value::Array(tools) if !is_same => {
            tools.iter().map(|tool| if is_bare(tool) { as_tool(tool) } else { tool.clone() }).collect()
        }
        tools => tools.clone(),
    }
}
