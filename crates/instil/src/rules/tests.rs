use super::*;

#[test]
fn debug_yield() {
    let Ok(path) = std::env::var("LOOK") else { return };
    let s = std::fs::read_to_string(path).unwrap();
    let (mut all, mut clean, mut alone, mut clause, mut plain, mut st) = (0, 0, 0, 0, 0, 0);
    let mut unclean = vec![];
    let mut noclause = vec![];
    for line in s.lines().step_by(7).take(400) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = Text::new(row["text"].as_str().unwrap());
        let sts = statement::statements(&text);
        st += sts.iter().map(|s| s.sentence).collect::<std::collections::HashSet<_>>().len();
        for s in &text.sentences {
            all += 1;
            if s.clean {
                clean += 1
            } else {
                unclean.push(text.text[s.core.clone()].chars().take(150).collect::<String>())
            }
            if s.alone {
                alone += 1
            }
            if let Some(c) = &s.clause {
                clause += 1;
                if c.plain {
                    plain += 1
                } else {
                    noclause.push(format!("NOTPLAIN {}", &text.text[s.core.clone()]))
                }
            }
            if s.clean && s.clause.is_none() {
                noclause.push(format!(
                    "{} {}",
                    if s.alone { "NOCLAUSE" } else { "notalone" },
                    text.text[s.core.clone()].chars().take(130).collect::<String>()
                ))
            }
        }
    }
    println!("all {all} clean {clean} alone {alone} clause {clause} plain {plain} statements {st}");
    for u in unclean.iter().step_by(unclean.len() / 25 + 1) {
        println!("UNCLEAN {u}");
    }
    for u in noclause.iter().step_by(noclause.len() / 45 + 1) {
        println!("{u}");
    }
}
