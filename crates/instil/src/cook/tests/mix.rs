//! Several templates in one.

use super::*;

#[test]
fn rows_are_of_the_templates_by_weight() {
    let part = |name| stream(name, Wording::Bare, &[]);
    let mix = Mix::new(7, vec![(part("mcqa"), 3), (part("summary"), 0), (part("last_word"), 1)]).unwrap();
    let mut sample = Sample::default();
    let mut counts = [0; 3];
    for index in 0..2000 {
        let place = mix.fill(index, &mut sample).unwrap();
        counts[place] += 1;
        assert!(mix.streams()[place].verify(&sample) && sample.index() == index);
    }
    assert!(counts[1] == 0 && (1420..1580).contains(&counts[0]), "{counts:?}");
    let again = Mix::new(7, vec![(part("mcqa"), 3), (part("summary"), 0), (part("last_word"), 1)]).unwrap();
    assert!((0..500).all(|index| mix.place(index) == again.place(index)));
    let other = Mix::new(8, vec![(part("mcqa"), 3), (part("summary"), 0), (part("last_word"), 1)]).unwrap();
    assert!((0..500).any(|index| mix.place(index) != other.place(index)));
    assert!(Mix::new(7, vec![(part("mcqa"), 0)]).is_err() && Mix::new(7, Vec::new()).is_err());
}

#[test]
fn a_setting_is_one_value_or_leads_to_another() {
    let template = template("lookup").unwrap();
    let mut settings = Curriculum::constant(Settings::new(template.knobs()));
    set_knob(template.as_ref(), &mut settings, "hops=1->4").unwrap();
    set_knob(template.as_ref(), &mut settings, "pairs = 9").unwrap();
    assert!(
        settings.from.to_string().starts_with("pairs=9 ") && settings.to.to_string().contains(" hops=4 ")
    );
    assert!(settings.from.to_string().contains(" hops=1 "));
    for wrong in ["hops", "hop=1", "hops=4->9", "hops=1->2->3"] {
        assert!(set_knob(template.as_ref(), &mut settings, wrong).is_err(), "{wrong}");
    }
}
