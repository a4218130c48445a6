use std::collections::HashSet;

use super::*;

#[test]
fn invented_words_are_all_different_and_always_the_same() {
    let pool = Pool::synthetic(SYNTHETIC_WORDS).unwrap();
    let words: HashSet<_> = (0..pool.size()).map(|token| pool.word(token).into_owned()).collect();
    assert_eq!(words.len(), SYNTHETIC_WORDS as usize);
    assert!(
        words
            .iter()
            .all(|word| (3..=5).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()))
    );
    assert_eq!(pool.hash(), Pool::synthetic(SYNTHETIC_WORDS).unwrap().hash());
    assert_ne!(pool.hash(), Pool::synthetic(SYNTHETIC_WORDS - 1).unwrap().hash());
    assert_eq!(Pool::synthetic(50_625 + 675).unwrap().size(), 51_300);
    assert!(Pool::synthetic(51_301).is_err() && Pool::synthetic(15).is_err());
}

#[test]
fn marks_stand_behind_the_words() {
    let pool = Pool::synthetic(16).unwrap();
    let text = |mark| String::from_utf8(pool.bytes(pool.mark(mark)).to_vec()).unwrap();
    assert_eq!(text(Mark::Stop), ".");
    assert_eq!(text(Mark::Letter(1)), " B");
    assert_eq!(text(Mark::Number(64)), " 64");
    assert_eq!((text(Mark::Same(true)), text(Mark::Holds(false))), (" Yes".into(), " no".into()));
    assert_eq!(text(Mark::Scheme(2)), " ABBA");
}

#[test]
fn a_word_list_names_the_line_that_is_no_word() {
    let many: String = (0..20).map(|number| format!(" wörd-{number} \r\n\n")).collect();
    let pool = Pool::of_lines("mine", &format!("\u{feff}{many}wörd-3\na’b")).unwrap();
    assert_eq!((pool.size(), pool.mode()), (21, "wordlist"));
    assert_eq!((pool.word(3).as_ref(), pool.word(20).as_ref()), ("wörd-3", "a’b"));
    for wrong in ["two words", "-dash", "a:b", "a\u{a0}b", "a.b", "_"] {
        let error = Pool::of_lines("mine", &format!("{many}{wrong}")).unwrap_err();
        assert!(error.to_string().contains("line 41 of `mine`"), "{error}");
    }
    assert!(Pool::of_lines("mine", "one\ntwo\n").unwrap_err().to_string().contains("too small"));
}

#[test]
fn rhymes_share_their_last_letters() {
    let pool = Pool::of_lines("mine", &"moon spoon Lagoon tay ray x kel".replace(' ', "\n"));
    assert!(pool.is_err(), "seven words are too few");
    let others: String = (0..20).map(|number| format!("{number}\n")).collect();
    let pool = Pool::of_lines("mine", &format!("moon\nspoon\nLagoon\ntay\nray\nx\nkel\n{others}")).unwrap();
    let words = |letters| -> Vec<Vec<_>> {
        let classes = pool.rhymes(letters).iter();
        classes.map(|class| class.iter().map(|token| pool.word(*token).into_owned()).collect()).collect()
    };
    assert_eq!(words(2), [vec!["moon", "spoon", "Lagoon"], vec!["tay", "ray"]]);
    assert_eq!(words(3), [vec!["moon", "spoon", "Lagoon"]]);
}
