//! What a model has said of how likely texts are.

use rusqlite::{OptionalExtension, params};

use super::{Journal, Key};
use crate::error::{Error, Result};
use crate::lm::{LanguageModel, Score, Scored, Scoring};

/// Made in journals that were begun without it, too.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS score (
        key BLOB PRIMARY KEY,         -- BLAKE3 of all that decides the score
        nll REAL NOT NULL,            -- nats
        tokens INTEGER NOT NULL,
        greedy INTEGER,
        whole INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// Scores texts with `model`, asking only for those that `journal` doesn't know; it is told each score before the
/// caller. What was refused or failed is not remembered.
///
/// # Errors
/// When the model gives no scores or can't be used, or the journal can't be read or written.
pub fn scores(
    model: &dyn LanguageModel,
    journal: Option<&Journal>,
    texts: &[Scored],
) -> Result<Vec<Scoring>> {
    let Some(journal) = journal.filter(|_| model.capabilities().journaled) else { return model.score(texts) };
    let identity = model.identity();
    let keys: Vec<Key> = texts.iter().map(|text| Journal::score_key(&identity, text)).collect();
    let mut known = keys
        .iter()
        .map(|key| Ok(journal.get_score(key)?.map(Scoring::Score)))
        .collect::<Result<Vec<Option<Scoring>>>>()?;
    let unknown: Vec<usize> = (0..texts.len()).filter(|place| known[*place].is_none()).collect();
    let asked: Vec<Scored> = unknown.iter().map(|place| texts[*place].clone()).collect();
    if !asked.is_empty() {
        let found = model.score(&asked)?;
        let told: Vec<(Key, Score)> = unknown
            .iter()
            .zip(&found)
            .filter_map(|(place, scoring)| Some((keys[*place], scoring.score()?)))
            .collect();
        journal.put_scores(&told)?;
        for (place, scoring) in unknown.into_iter().zip(found) {
            known[place] = Some(scoring);
        }
    }
    Ok(known.into_iter().map(|one| one.expect("a model says something of every text")).collect())
}

impl Journal {
    /// The name of a text that is scored by the model of this identity.
    pub fn score_key(identity: &str, text: &Scored) -> Key {
        let mut hasher = blake3::Hasher::new();
        for part in ["score", identity, &text.prompt, &text.completion] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.update(&[u8::from(text.eos), u8::from(text.apart)]);
        *hasher.finalize().as_bytes()
    }

    /// The score of a text, if it was given before.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn get_score(&self, key: &Key) -> Result<Option<Score>> {
        self.connection
            .prepare_cached("SELECT nll, tokens, greedy, whole FROM score WHERE key = ?")
            .and_then(|mut statement| {
                statement
                    .query_row(params![key.as_slice()], |row| {
                        Ok(Score {
                            nll: row.get(0)?,
                            // Tokens of a text are far below 2^63.
                            tokens: row.get::<_, i64>(1)? as usize,
                            greedy: row.get(2)?,
                            whole: row.get(3)?,
                        })
                    })
                    .optional()
            })
            .map_err(|e| {
                Error::output(format!("failed to read journal `{}`", self.path.display())).because(e)
            })
    }

    /// Remembers scores, all of them or none.
    ///
    /// # Errors
    /// When the file can't be written, as on a full disk.
    pub fn put_scores(&self, scores: &[(Key, Score)]) -> Result<()> {
        let put = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            for (key, score) in scores {
                transaction.prepare_cached("INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?, ?)")?.execute(
                    params![key.as_slice(), score.nll, score.tokens as i64, score.greedy, score.whole],
                )?;
            }
            transaction.commit()
        };
        put().map_err(|e| {
            Error::output(format!("failed to write journal `{}`", self.path.display()))
                .because(e)
                .with_hint("make room and run the same command again: it continues where it stopped")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::lm::Outcome;
    use crate::lm::scripted::Scripted;

    #[test]
    fn a_text_is_scored_once_and_a_refusal_is_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let model = Scripted::new(0, 1, |_, _| Outcome::Declined).journaled().scoring(move |text| {
            counter.fetch_add(1, Ordering::Relaxed);
            match text.completion.as_str() {
                "no" => Scoring::Refused("too long".into()),
                other => Scoring::Score(Score {
                    nll: 0.1 + other.len() as f64,
                    tokens: other.len(),
                    greedy: None,
                    whole: true,
                }),
            }
        });
        let text = |completion: &str| Scored {
            prompt: "p".into(),
            completion: completion.into(),
            ..Scored::default()
        };
        let texts = [text("yes"), text("no"), Scored { eos: true, ..text("yes") }, text("yes")];
        let journal = Journal::open(&path).unwrap();
        let first = scores(&model, Some(&journal), &texts).unwrap();
        assert_eq!(first[0].score().unwrap().nll, 3.1);
        assert!(matches!(&first[1], Scoring::Refused(_)));
        assert_eq!(asked.load(Ordering::Relaxed), 4);
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(scores(&model, Some(&journal), &texts).unwrap(), first);
        assert_eq!(asked.load(Ordering::Relaxed), 5, "only what was refused");
    }
}
