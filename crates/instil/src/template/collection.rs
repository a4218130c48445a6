//! The templates of a folder: PromptSource's `templates.yaml` files as published, and the user's own.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::error::{Error, Result, nearest};
use crate::task::TaskKind;

/// A prompt template: Jinja over the fields of a row, the prompt before `|||` and the completion after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The dataset that its rows come from, and its subset where there is one: `super_glue/boolq`.
    pub dataset: Arc<str>,
    /// Its name, unlike any other of the dataset; PromptSource has names that end in a blank.
    pub name: String,
    /// PromptSource's identifier; the name again where the file gives none.
    pub id: String,
    /// The text of the template.
    pub jinja: String,
    /// Jinja that renders to the possible completions, parted by `|||`.
    pub answer_choices: Option<String>,
    /// The kind of task that it makes, where the file says so; PromptSource's files never do.
    pub task: Option<TaskKind>,
    /// The expression that stands for the passage, such as `{{clause}}`, where the file says so.
    pub context: Option<String>,
    /// Where its wording is from, in the author's words.
    pub reference: String,
    /// What its author noted about it.
    pub metadata: Metadata,
    /// The file that it was read from.
    pub file: Arc<Path>,
}

/// What the author of a PromptSource template noted about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Whether the prompt asks for what the dataset was made for.
    pub original_task: Option<bool>,
    /// Whether the prompt shows the possible completions.
    pub choices_in_prompt: Option<bool>,
    /// The metrics to judge answers by.
    pub metrics: Vec<String>,
    /// The languages of the prompt.
    pub languages: Vec<String>,
}

/// Templates by dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collection {
    datasets: BTreeMap<Arc<str>, Vec<Template>>,
}

/// A file as PromptSource writes it: templates by identifier.
#[derive(Deserialize)]
struct PublishedFile {
    dataset: String,
    subset: Option<String>,
    templates: serde_norway::Mapping,
}

#[derive(Deserialize)]
struct Published {
    name: String,
    id: String,
    jinja: String,
    answer_choices: Option<String>,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    metadata: Metadata,
}

/// A file as a user writes it: a list of templates.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnFile {
    dataset: Option<String>,
    subset: Option<String>,
    templates: Vec<Own>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    name: String,
    task: Option<String>,
    context: Option<String>,
    jinja: String,
    answer_choices: Option<String>,
    #[serde(default)]
    reference: String,
}

impl Collection {
    /// Reads a template file, or every `.yaml` and `.yml` file below a folder.
    ///
    /// Three shapes are read: PromptSource's (`dataset`, `subset`, `templates` by identifier, with its
    /// `!Template` tags), a list (`templates`, each with `name`, `jinja`, and `task`, `context`,
    /// `answer_choices`, `reference` if wanted; `dataset` where it isn't the file's name), and one
    /// template alone (the same keys at the top of the file).
    ///
    /// # Errors
    /// When nothing is there, a file can't be read or has another shape, a task kind is unknown, or two
    /// templates of one dataset share a name.
    pub fn read(path: &Path) -> Result<Self> {
        let mut collection = Self::default();
        collection.add(path)?;
        Ok(collection)
    }

    /// Adds what [`read`](Self::read) reads.
    ///
    /// # Errors
    /// As there; also when a template is there already.
    pub fn add(&mut self, path: &Path) -> Result<()> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::input(format!("failed to read templates from `{}`", path.display())).because(e.to_string())
        };
        if !path.exists() {
            return Err(Error::input(format!("there are no templates at `{}`", path.display())).with_hint(
                "--templates, or the key `templates` of a recipe, names your own YAML files, or the folder \
                 `promptsource/templates` of a PromptSource checkout",
            ));
        }
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|e| failed(&e))?;
            let is_yaml = entry.path().extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
            if entry.file_type().is_file() && (is_yaml || entry.depth() == 0) {
                files.push(entry.into_path());
            }
        }
        if files.is_empty() {
            return Err(failed(&"no .yaml file lies below it")
                .with_hint("name a file, or the folder `templates` of a PromptSource checkout"));
        }
        for file in files {
            let text = fs::read_to_string(&file).map_err(|e| {
                Error::input(format!("failed to read templates from `{}`", file.display())).because(e)
            })?;
            self.insert(parse(&file, &text)?)?;
        }
        Ok(())
    }

    fn insert(&mut self, templates: Vec<Template>) -> Result<()> {
        for template in templates {
            let of_dataset = self.datasets.entry(Arc::clone(&template.dataset)).or_default();
            if let Some(other) = of_dataset.iter().find(|other| other.name == template.name) {
                let Template { dataset, name, file, .. } = &template;
                return Err(Error::input(format!("two templates of `{dataset}` are named `{name}`"))
                    .because(format!("one in `{}`, one in `{}`", other.file.display(), file.display()))
                    .with_hint("rename one of them, or name the files that are meant one by one"));
            }
            of_dataset.push(template);
        }
        Ok(())
    }

    /// The keys of the datasets that have templates, in alphabetical order.
    pub fn datasets(&self) -> impl Iterator<Item = &str> {
        self.datasets.keys().map(|key| &**key)
    }

    /// The templates of a dataset, in the order of its file.
    ///
    /// # Errors
    /// When there is no such dataset; the hint says the nearest one.
    pub fn dataset(&self, key: &str) -> Result<&[Template]> {
        self.datasets.get(key).map(Vec::as_slice).ok_or_else(|| {
            let subsets: Vec<&str> =
                self.datasets().filter(|other| other.split('/').next() == Some(key)).collect();
            let of_subset = self.datasets().find(|other| other.rsplit('/').next() == Some(key));
            let hint = match (subsets.as_slice(), of_subset.or_else(|| nearest(key, self.datasets()))) {
                ([_, ..], _) => format!("its subsets are {}", subsets.join(", ")),
                (_, Some(near)) => format!("did you mean `{near}`?"),
                _ => "`instil list templates --templates DIR` shows what there is".to_owned(),
            };
            Error::usage(format!("no templates for the dataset `{key}`")).with_hint(hint)
        })
    }

    /// The template of this name; a blank at the end of either name makes no difference where that is
    /// unambiguous.
    ///
    /// # Errors
    /// When dataset or template is unknown; the hint says the nearest one.
    pub fn template(&self, dataset: &str, name: &str) -> Result<&Template> {
        let templates = self.dataset(dataset)?;
        let exact = templates.iter().find(|template| template.name == name);
        exact.or_else(|| templates.iter().find(|template| template.name.trim() == name.trim())).ok_or_else(
            || {
                let names: HashSet<&str> = templates.iter().map(|template| template.name.as_str()).collect();
                let error = Error::usage(format!("`{dataset}` has no template `{name}`"));
                match nearest(name, names) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error.with_hint(
                        "`instil list templates --templates DIR --dataset KEY` shows its templates",
                    ),
                }
            },
        )
    }

    /// Every template, by dataset and in the order of its file.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.datasets.values().flatten()
    }

    /// The datasets and their templates.
    pub fn by_dataset(&self) -> impl Iterator<Item = (&Arc<str>, &[Template])> {
        self.datasets.iter().map(|(key, templates)| (key, templates.as_slice()))
    }

    /// How many templates there are.
    pub fn len(&self) -> usize {
        self.datasets.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.datasets.is_empty()
    }
}

const HINT: &str =
    "a template has `name` and `jinja`, and may have `task`, `context`, `answer_choices` and `reference`";

/// The templates of one file.
///
/// # Errors
/// When the text is no YAML, or YAML of another shape.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Template>> {
    let failed = |why: String| {
        Error::input(format!("failed to read templates from `{}`", file.display())).because(why)
    };
    let shape: serde_norway::Value = serde_norway::from_str(text).map_err(|e| failed(e.to_string()))?;
    if !shape.is_mapping() {
        let what = if shape.is_null() { "it is empty" } else { "it is no mapping of keys" };
        return Err(failed(what.to_owned()).with_hint(HINT));
    }
    let by_id = shape.get("templates").is_some_and(serde_norway::Value::is_mapping);
    let path: Arc<Path> = file.into();
    if by_id {
        let PublishedFile { dataset, subset, templates } =
            serde_norway::from_str(text).map_err(|e| failed(e.to_string()))?;
        let dataset = key(dataset, subset);
        return templates
            .into_iter()
            .map(|(id, template)| {
                let of = |e: serde_norway::Error| {
                    failed(format!("template {}: {e}", id.as_str().unwrap_or("of an odd identifier")))
                };
                let Published { name, id, jinja, answer_choices, reference, metadata } =
                    serde_norway::from_value(template).map_err(of)?;
                let (dataset, file) = (Arc::clone(&dataset), Arc::clone(&path));
                let (task, context) = (None, None);
                Ok(Template {
                    dataset,
                    name,
                    id,
                    jinja,
                    answer_choices,
                    task,
                    context,
                    reference,
                    metadata,
                    file,
                })
            })
            .collect();
    }
    let stem =
        file.file_stem().map_or_else(|| "templates".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let shaped = |e: serde_norway::Error| failed(e.to_string()).with_hint(HINT);
    let (dataset, templates) = if shape.get("templates").is_some() {
        let OwnFile { dataset, subset, templates } = serde_norway::from_str(text).map_err(shaped)?;
        (key(dataset.unwrap_or(stem), subset), templates)
    } else {
        (key(stem, None), vec![serde_norway::from_str(text).map_err(shaped)?])
    };
    templates
        .into_iter()
        .map(|Own { name, task, context, jinja, answer_choices, reference }| {
            let task = task.map(|task| TaskKind::parse(&task)).transpose().map_err(|e| {
                failed(format!("template `{name}`: {e}")).with_hint(e.hint().unwrap_or("`instil list tasks`"))
            })?;
            Ok(Template {
                dataset: Arc::clone(&dataset),
                id: name.clone(),
                name,
                jinja,
                answer_choices,
                task,
                context,
                reference,
                metadata: Metadata::default(),
                file: Arc::clone(&path),
            })
        })
        .collect()
}

fn key(dataset: String, subset: Option<String>) -> Arc<str> {
    match subset {
        Some(subset) => format!("{dataset}/{subset}").into(),
        None => dataset.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Template>> {
        parse(Path::new("shelf/clauses.yaml"), text)
    }

    #[test]
    fn the_published_shape_is_read_tags_and_all() {
        let templates = read(
            "dataset: kettles\nsubset: small\ntemplates:\n  7c0f: !Template\n    answer_choices: No ||| Yes\n    id: 7c0f\n    \
             jinja: '{{text}}\n\n      Good? ||| {{answer_choices[label]}}'\n    metadata: !TemplateMetadata\n      \
             choices_in_prompt: null\n      languages:\n      - en\n      metrics:\n      - Accuracy\n      original_task: true\n    \
             name: 'ask '\n    reference: ''\n    task_template: true\n",
        )
        .unwrap();
        let [template] = templates.as_slice() else { panic!("{templates:?}") };
        assert_eq!((&*template.dataset, template.name.as_str()), ("kettles/small", "ask "));
        assert_eq!(template.jinja, "{{text}}\nGood? ||| {{answer_choices[label]}}");
        assert_eq!(template.answer_choices.as_deref(), Some("No ||| Yes"));
        assert_eq!(template.metadata.original_task, Some(true));
        assert_eq!(template.metadata.languages, ["en"]);
    }

    #[test]
    fn a_users_file_needs_little() {
        let one = read("name: ask\ntask: qa\njinja: '{{clause}} ||| {{answer}}'\n").unwrap();
        assert_eq!(
            (&*one[0].dataset, one[0].task, one[0].id.as_str()),
            ("clauses", Some(TaskKind::Qa), "ask")
        );
        let list = read(
            "dataset: leases\ntemplates:\n- name: a\n  jinja: x\n- name: b\n  context: '{{c}}'\n  jinja: y\n",
        );
        let list = list.unwrap();
        assert_eq!((&*list[1].dataset, list[1].context.as_deref()), ("leases", Some("{{c}}")));
    }

    #[test]
    fn another_shape_is_named() {
        let say = |text: &str| {
            let e = read(text).unwrap_err();
            let cause = std::error::Error::source(&e).map_or(String::new(), ToString::to_string);
            format!("{e}: {cause} / {}", e.hint().unwrap_or("-"))
        };
        for text in [
            "- a\n- b\n",
            "name: x\n",
            "name: x\njinja: y\njinjaa: z\n",
            "a: [",
            "",
            "name: x\ntask: qaa\njinja: y\n",
            "dataset: d\ntemplates: {a: {name: b}}\n",
        ] {
            insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(format!("{text:?}\n{}", say(text))) });
        }
    }

    #[test]
    fn names_are_looked_up_with_the_nearest_as_a_hint() {
        let mut collection = Collection::default();
        collection
            .insert(read("dataset: a\nsubset: x\ntemplates:\n- {name: 'ask ', jinja: q}\n").unwrap())
            .unwrap();
        assert_eq!(collection.template("a/x", "ask").unwrap().jinja, "q");
        assert_eq!(collection.dataset("a").unwrap_err().hint(), Some("its subsets are a/x"));
        assert_eq!(collection.template("a/x", "asks").unwrap_err().hint(), Some("did you mean `ask `?"));
        collection
            .insert(read("dataset: a/x\ntemplates:\n- {name: 'ask ', jinja: q}\n").unwrap())
            .unwrap_err();
    }
}
