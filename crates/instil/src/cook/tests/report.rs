//! No default configuration can be guessed without its rule.

use super::*;

#[test]
fn baselines_are_near_chance() {
    for template in templates() {
        let stream = stream(template.name(), Wording::Bare, &[]);
        let report = stream.report(4000);
        assert_eq!(report.tally.samples, 4000);
        for baseline in &report.baselines {
            assert!(!baseline.is_shortcut(4000), "{report}");
        }
        assert_eq!(
            report.choices.is_empty(),
            !matches!(template.family(), Family::Selection | Family::Comparison)
                && template.name() != "retrieval"
        );
        // Answers stand everywhere, but where the rule says otherwise.
        if matches!(template.name(), "doc_qa" | "lookup") {
            assert!(report.places[..9].iter().all(|share| (0.08..0.13).contains(share)), "{report}");
        }
        let shown = report.to_string();
        assert!(shown.contains(template.name()) && !shown.contains("shortcut"));
        assert!(serde_json::to_value(&report).unwrap()["baselines"].is_array());
    }
}

#[test]
fn a_shortcut_is_marked() {
    let report = stream("matching", Wording::Bare, &[("matches", "0.9")]).report(1000);
    assert!(report.baselines[0].right > 0.85, "{report}");
    assert!(report.to_string().contains("<- a shortcut"), "{report}");
    let report = stream("lookup", Wording::Bare, &[("place", "90..100"), ("pairs", "50")]).report(300);
    assert!(report.places[9] > 0.8, "{report}");
}
