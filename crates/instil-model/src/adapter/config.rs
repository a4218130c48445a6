//! `adapter_config.json`: read, refused by name where it asks for what isn't done here, and written.

use std::collections::BTreeMap;
use std::path::Path;

use instil::{Error, Result};
use serde_json::{Map, Value, json};

use super::targets::ALL_LINEAR;
use super::{Adapter, TargetModules};

/// Keys that change what an adapter computes, and what they are called by. Each is refused unless it is off.
const REFUSED: [(&str, &str); 12] = [
    ("use_dora", "DoRA (`use_dora`)"),
    ("modules_to_save", "whole modules trained beside it (`modules_to_save`)"),
    ("trainable_token_indices", "trained rows of the embedding (`trainable_token_indices`)"),
    ("lora_bias", "biases of its own (`lora_bias`)"),
    ("target_parameters", "parameters that are no modules (`target_parameters`)"),
    ("layer_replication", "repeated layers (`layer_replication`)"),
    ("alora_invocation_tokens", "activation by tokens (`alora_invocation_tokens`)"),
    ("use_qalora", "QALoRA (`use_qalora`)"),
    ("use_bdlora", "BD-LoRA (`use_bdlora`)"),
    ("arrow_config", "Arrow routing (`arrow_config`)"),
    ("kasa_config", "KaSA (`kasa_config`)"),
    ("monteclora_config", "MonteCLoRA (`monteclora_config`)"),
];

/// Ways to begin that also change the base's weights, so that the adapter alone isn't the whole change.
const CHANGES_BASE: [&str; 5] = ["pissa", "olora", "loftq", "corda", "lora_ga"];

/// The way out of everything that is refused.
const MERGE: &str =
    "merge it with Python's peft (`merge_and_unload`, `save_pretrained`) and name the merged model";

/// Reads a configuration.
pub(super) fn parse(json: &Value, path: &Path) -> Result<Adapter> {
    let read = Reader { json, place: path.display().to_string() };
    match read.text("peft_type")? {
        Some(kind) if kind.eq_ignore_ascii_case("lora") => {}
        Some(kind) => {
            return Err(Error::input(format!(
                "{}: the adapter is of the kind {kind}; LoRA is read",
                read.place
            ))
            .with_hint(MERGE));
        }
        None => return Err(read.wrong("peft_type", "\"LORA\"")),
    }
    for (key, what) in REFUSED {
        if json.get(key).is_some_and(|value| !is_off(value)) {
            return Err(read.refused(what));
        }
    }
    if let Some(bias) = read.text("bias")?.filter(|bias| bias != "none") {
        return Err(read.refused(&format!("trained biases (`bias` is \"{bias}\")")));
    }
    if let Some(begin) = json.get("init_lora_weights").and_then(Value::as_str) {
        let begin = begin.to_lowercase();
        if CHANGES_BASE.iter().any(|kind| begin.starts_with(kind)) {
            return Err(Error::input(format!(
                "{}: `init_lora_weights` is \"{begin}\": the base's weights were changed too, and the adapter lacks that",
                read.place
            ))
            .with_hint("save it in peft with `path_initial_model_for_weight_conversion`, which makes a plain LoRA of it"));
        }
    }
    let r = read.count("r")?.unwrap_or(8);
    if r == 0 {
        return Err(read.wrong("r", "a rank of 1 or more"));
    }
    Ok(Adapter {
        lora_dropout: read.number("lora_dropout")?.unwrap_or(0.0),
        use_rslora: read.flag("use_rslora")?,
        layers_to_transform: read.layers()?,
        rank_pattern: read.patterns("rank_pattern", "ranks by pattern", |value| {
            value.as_u64().and_then(|rank| usize::try_from(rank).ok()).filter(|rank| *rank > 0)
        })?,
        alpha_pattern: read.patterns("alpha_pattern", "numbers by pattern", Value::as_f64)?,
        base_model_name_or_path: read.text("base_model_name_or_path")?,
        revision: read.text("revision")?,
        ..Adapter::new(r, read.number("lora_alpha")?.unwrap_or(8.0), read.targets()?)
    })
}

/// Whether a setting asks for nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}

/// The configuration as peft writes it.
pub(super) fn json(adapter: &Adapter) -> Value {
    let targets = match &adapter.target_modules {
        TargetModules::Names(names) => json!(names),
        TargetModules::Pattern(pattern) => json!(pattern),
        TargetModules::AllLinear => json!(ALL_LINEAR),
    };
    // peft 0.20 takes an encoder-decoder of transformers 5 where no task is named, and fails where its own is.
    let is_pair =
        adapter.modules.keys().any(|name| name.starts_with("encoder.") || name.starts_with("decoder."));
    json!({
        "peft_type": "LORA",
        "task_type": if is_pair { Value::Null } else { "CAUSAL_LM".into() },
        "base_model_name_or_path": adapter.base_model_name_or_path,
        "revision": adapter.revision,
        "inference_mode": true,
        "r": adapter.r,
        "lora_alpha": whole_if_it_is(adapter.lora_alpha),
        "lora_dropout": adapter.lora_dropout,
        "use_rslora": adapter.use_rslora,
        "target_modules": targets,
        "layers_to_transform": adapter.layers_to_transform,
        "rank_pattern": adapter.rank_pattern,
        "alpha_pattern": adapter.alpha_pattern.iter()
            .map(|(pattern, alpha)| (pattern.clone(), whole_if_it_is(*alpha))).collect::<Map<_, _>>(),
        "bias": "none",
        "fan_in_fan_out": false,
        "modules_to_save": null,
        "init_lora_weights": true,
    })
}

/// 16 and not 16.0, as people write it; what counts is the same.
fn whole_if_it_is(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 { json!(number as i64) } else { json!(number) }
}

struct Reader<'a> {
    json: &'a Value,
    place: String,
}

impl Reader<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, wanted: &str) -> Error {
        let trouble = match self.get(key) {
            Some(value) => format!("{}: `{key}` is {value}, not {wanted}", self.place),
            None => format!("{}: `{key}` is missing, which is {wanted}", self.place),
        };
        Error::input(trouble).with_hint("an adapter is a folder as peft's `save_pretrained` writes it")
    }

    fn refused(&self, what: &str) -> Error {
        Error::input(format!("{}: the adapter has {what}, which isn't done here", self.place))
            .with_hint(MERGE)
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| self.wrong(key, "a text"))
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(key, "a number"))
    }

    fn count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.wrong(key, "a whole number"))
    }

    fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(key, "true or false"))
    }

    fn targets(&self) -> Result<TargetModules> {
        match self.get("target_modules") {
            Some(Value::String(text)) if text.eq_ignore_ascii_case(ALL_LINEAR) => {
                Ok(TargetModules::AllLinear)
            }
            Some(Value::String(text)) => Ok(TargetModules::Pattern(text.clone())),
            Some(Value::Array(names)) => names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(TargetModules::Names)
                .ok_or_else(|| self.wrong("target_modules", "a list of names")),
            _ => Err(self.wrong("target_modules", "a list of names, a pattern or \"all-linear\"")),
        }
    }

    fn layers(&self) -> Result<Option<Vec<usize>>> {
        let wrong = || self.wrong("layers_to_transform", "a layer or a list of layers");
        let layer =
            |value: &Value| value.as_u64().and_then(|layer| usize::try_from(layer).ok()).ok_or_else(wrong);
        match self.get("layers_to_transform") {
            None => Ok(None),
            Some(Value::Array(layers)) => layers.iter().map(layer).collect::<Result<_>>().map(Some),
            Some(one) => Ok(Some(vec![layer(one)?])),
        }
    }

    fn patterns<V>(
        &self,
        key: &str,
        wanted: &str,
        of: impl Fn(&Value) -> Option<V>,
    ) -> Result<BTreeMap<String, V>> {
        let Some(value) = self.get(key) else { return Ok(BTreeMap::new()) };
        let map = value.as_object().ok_or_else(|| self.wrong(key, wanted))?;
        map.iter()
            .map(|(pattern, value)| Some((pattern.clone(), of(value)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| self.wrong(key, wanted))
    }
}
