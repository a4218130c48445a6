//! What the published construction of CTGA-v1 knows about PromptSource: the expression that stands for the
//! passage in each dataset, and the kind of task of each template (spec/bonito.md 2.1 and appendix A).

use std::sync::LazyLock;

use crate::task::TaskKind;

/// The published table, a row a line.
const TABLE: &str = include_str!("ctga.tsv");

/// The dataset whose expression never matches literally, and is taken for a pattern afterwards.
pub(super) const DREAM: &str = "dream";
/// The dataset that allows the literal match only.
pub(super) const QASC: &str = "qasc";
/// The dataset whose match allows blanks around `|` besides.
pub(super) const DBPEDIA: &str = "dbpedia_14";

/// The datasets of `ctga/task_type_bonito.py` in its order, each with the Jinja text of its passage.
///
/// `multi_news` is in the published list and yields nothing: no template of it has this expression. `anli` is
/// used with the rows of `train_r3` only.
pub(super) const CONTEXTS: [(&str, &str); 39] = [
    ("cosmos_qa", "{{ context }}"),
    ("social_i_qa", "{{context}}"),
    ("paws/labeled_final", "{{sentence1}}"),
    ("quail", "{{ context }}"),
    ("squad", "{{context}}"),
    // Newlines, where the templates have backslash and n.
    (DREAM, "{{dialogue | join(\"\n\n\")}}"),
    (QASC, "{{ fact1[0]|capitalize }}{{ fact1[1:]|trim|trim('.') }}"),
    ("wiki_hop/original", "{% for support in supports %}\n- {{ support }}\n{% endfor %}"),
    ("race/all", "{{article}}"),
    ("hellaswag", "{{ctx}}"),
    ("super_glue/boolq", "{{passage}}"),
    ("adversarial_qa/dbert", "{{context}}"),
    ("adversarial_qa/dbidaf", "{{context}}"),
    ("adversarial_qa/droberta", "{{context}}"),
    ("quoref", "{{context}}"),
    ("duorc/ParaphraseRC", "{{plot}}"),
    ("duorc/SelfRC", "{{plot}}"),
    ("ropes", "{{ background }}"),
    ("super_glue/record", "{{passage}}"),
    ("amazon_polarity", "{{content}}"),
    ("app_reviews", "{{review}}"),
    ("imdb", "{{text}}"),
    ("rotten_tomatoes", "{{text}}"),
    ("yelp_review_full", "{{text}}"),
    ("cnn_dailymail/3.0.0", "{{article}}"),
    ("gigaword", "{{document}}"),
    ("multi_news", "{{document}}"),
    ("samsum", "{{dialogue}}"),
    ("xsum", "{{document}}"),
    ("ag_news", "{{text}}"),
    (DBPEDIA, "{{content}}"),
    ("glue/mrpc", "{{sentence1}}"),
    ("super_glue/wsc.fixed", "{{text}}"),
    ("super_glue/wic", "{{sentence1}}"),
    ("super_glue/copa", "{{premise}}"),
    ("super_glue/rte", "{{premise}}"),
    ("super_glue/cb", "{{premise}}"),
    ("anli", "{{premise}}"),
    ("quartz", "{{ para }}"),
];

/// Templates that the published table lost to the blank at the end of their names, with the kinds of their
/// siblings.
const MENDED: [Row; 4] = [
    Row {
        dataset: "quoref",
        config: None,
        template: "Read And Extract ",
        kind: TaskKind::Exqa,
        published: false,
    },
    Row {
        dataset: "imdb",
        config: None,
        template: "Sentiment with choices ",
        kind: TaskKind::Sentiment,
        published: false,
    },
    Row {
        dataset: "rotten_tomatoes",
        config: None,
        template: "Sentiment with choices ",
        kind: TaskKind::Sentiment,
        published: false,
    },
    Row {
        dataset: DBPEDIA,
        config: None,
        template: "given_a_choice_of_categories ",
        kind: TaskKind::TopicClass,
        published: false,
    },
];

/// A template that is used, and for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The dataset, without its configuration.
    pub(super) dataset: &'static str,
    /// The configuration, where the dataset has several.
    pub(super) config: Option<&'static str>,
    /// The name of the template, unlike any other of the configuration.
    pub(super) template: &'static str,
    /// The kind of task.
    pub(super) kind: TaskKind,
    /// Whether the published table has the row; otherwise it is one of the four that it lost.
    pub(super) published: bool,
}

impl Row {
    /// Whether this is the key of the row's dataset, `super_glue/boolq`.
    fn is_of(&self, key: &str) -> bool {
        match self.config {
            None => key == self.dataset,
            Some(config) => {
                key.strip_prefix(self.dataset).and_then(|rest| rest.strip_prefix('/')) == Some(config)
            }
        }
    }
}

/// The published rows in their order, then the mended ones.
pub(super) static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().expect("the table has four columns");
        let (dataset, config, template, kind) = (next(), next(), next(), next());
        let config = (!config.is_empty()).then_some(config);
        let kind = TaskKind::parse(kind).expect("the table has the short names of kinds");
        Row { dataset, config, template, kind, published: true }
    });
    rows.chain(MENDED).collect()
});

/// The row of a template, with its place in the order of the listing: by dataset as in [`CONTEXTS`], the
/// published rows of a dataset in their order and then the mended ones.
pub(super) fn row(key: &str, template: &str) -> Option<((usize, usize), Row)> {
    let at = ROWS.iter().position(|row| row.template == template && row.is_of(key))?;
    let dataset = CONTEXTS.iter().position(|(dataset, _)| *dataset == key)?;
    Some(((dataset, at), ROWS[at]))
}

/// The expression that stands for the passage in the templates of a dataset.
pub(super) fn context(key: &str) -> Option<&'static str> {
    CONTEXTS.iter().find(|(dataset, _)| *dataset == key).map(|(_, expression)| *expression)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_table_has_the_published_counts() {
        let published: Vec<&Row> = ROWS.iter().filter(|row| row.published).collect();
        assert_eq!((published.len(), ROWS.len()), (323, 327));
        let datasets: BTreeSet<_> = published.iter().map(|row| (row.dataset, row.config)).collect();
        assert_eq!(datasets.len(), 38);
        let names: BTreeSet<_> = ROWS.iter().map(|row| (row.dataset, row.config, row.template)).collect();
        assert_eq!(names.len(), 327);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in published {
            *counts.entry(row.kind.short()).or_default() += 1;
        }
        let expected = [
            ("coref", 10),
            ("exqa", 49),
            ("mcqa", 50),
            ("nli", 30),
            ("paraphrase", 3),
            ("paraphrase_id", 16),
            ("qa", 14),
            ("qg", 13),
            ("sent_comp", 18),
            ("sentiment", 35),
            ("summarization", 33),
            ("te", 10),
            ("text_gen", 9),
            ("topic_class", 11),
            ("wsd", 10),
            ("ynqa", 12),
        ];
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_row_has_an_expression_and_every_expression_but_one_has_rows() {
        assert!(ROWS.iter().all(|row| CONTEXTS.iter().any(|(key, _)| row.is_of(key))));
        let idle: Vec<&str> = CONTEXTS
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| !ROWS.iter().any(|row| row.is_of(key)))
            .collect();
        assert_eq!(idle, ["multi_news"]);
        let keys: BTreeSet<&str> = CONTEXTS.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys.len(), 39);
    }

    #[test]
    fn names_match_to_the_last_blank() {
        assert!(row("imdb", "Sentiment with choices ").is_some_and(|(_, row)| !row.published));
        assert!(row("imdb", "Sentiment with choices").is_none());
        assert!(row("super_glue/boolq", "I wonder…").is_some_and(|(_, row)| row.kind == TaskKind::Ynqa));
        assert!(row("super_glue", "exam").is_none() && row("boolq", "exam").is_none());
    }
}
