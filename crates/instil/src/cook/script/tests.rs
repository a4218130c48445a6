//! What a script can say, where it is stopped, and what its templates make.

use std::sync::Arc;

use super::*;
use crate::cook::{
    Curriculum, Draw, Key, Plan, Pool, Sample, Settings, Split, Stream, Template, Wording, words,
};

const AFTER: &str = include_str!("../../../../../recipes/templates/after.star");
const MOST_ALIKE: &str = include_str!("../../../../../recipes/templates/most_alike.star");

/// Limits that every honest script of these tests keeps.
const SMALL: Limits = Limits { steps: 200_000, bytes: 2 << 20, levels: 250 };

fn templates(text: &str) -> Result<Vec<Arc<ScriptTemplate>>> {
    Script::read("mine.star", text, SMALL)
}

/// What a script that can't be read is told.
fn told(text: &str) -> String {
    templates(text).unwrap_err().to_string()
}

fn plan(text: &str, set: &[(&str, &str)]) -> Result<Plan> {
    let template: Arc<dyn Template> = templates(text)?.remove(0);
    let mut settings = Settings::new(template.knobs());
    for (knob, value) in set {
        settings.set(knob, value)?;
    }
    Ok(Plan {
        template,
        settings: Curriculum::constant(settings),
        pool: Arc::new(Pool::synthetic(4096)?),
        wording: Wording::Bare,
        seed: 7,
        split: Split::Train,
    })
}

fn stream(text: &str, set: &[(&str, &str)]) -> Result<Stream> {
    plan(text, set).and_then(Stream::new)
}

fn rows(stream: &Stream, indices: impl Iterator<Item = u64>) -> Vec<(String, String)> {
    let mut sample = Sample::default();
    let mut row = |index| {
        stream.fill(index, &mut sample).unwrap();
        (sample.prompt().to_owned(), sample.completion().to_owned())
    };
    indices.map(&mut row).collect()
}

#[test]
fn expressions_mean_what_they_mean_in_python() {
    for (expression, value) in [
        ("1 + 2 * 3 - 4", "3"),
        ("-7 // 2 * 10 + -7 % 3", "-38"),
        ("7 // -2", "-4"),
        ("\"a\" \"b\" + 'c' * 3", "abccc"),
        ("len([1, 2] + [3] * 4)", "6"),
        ("[1, 2, 3, 4][1:-1][0] * 10 + [1, 2, 3][-1]", "23"),
        ("\"\".join([str(x) for x in [5, 6, 7][::-1]])", "765"),
        ("\"abcdef\"[1:5:2] + \"xyz\"[-1]", "bdz"),
        ("sum([x * y for x in range(4) if x % 2 == 1 for y in [1, 10]])", "44"),
        ("{\"a\": 1, \"b\": 2}[\"b\"] + {k: 5 for k in [1]}.get(1) + {}.get(3, 4)", "11"),
        ("1 if [] else 2 if None else 3", "3"),
        ("0 or \"x\" and \"y\"", "y"),
        ("not 3 in [1, 2] and 2 not in (1, 3)", "True"),
        ("(1, 2) < (1, 3) and [1] < [1, 0] and \"a\" < \"b\"", "True"),
        ("[1, [2, (3,)]] == [1, [2, (3,)]] and {1: 2} == {1: 2} and 1 != \"1\"", "True"),
        ("max(3, 9, 4) - min([3, 9, 4])", "6"),
        ("sorted([\"bb\", \"a\", \"ccc\"], key = len, reverse = True)[0]", "ccc"),
        ("\",\".join(\"b c a\".split()).upper()", "B,C,A"),
        ("[a * b for a, b in zip([1, 2], [3, 4])][1] + enumerate([7])[0][1]", "15"),
        ("len(range(0, 10, 3)) * 100 + range(10)[-1]", "409"),
        ("any([0, 2]) and all([]) and bool(\"x\")", "True"),
        ("index_of([1, 2, 3, 2], [3, 2]) + count([1, 1, 1], [1, 1])", "4"),
        ("overlap([1, 1, 2], [1, 1, 3]) * 10 + overlap([1, 1, 2], [1, 1, 3], distinct = True)", "21"),
        ("str(argmax([1, 5, 2])) + str(argmin([4, 4])) + label(2)", "1NoneC"),
        ("lookup([(\"a\", 1), (\"a\", 2)], \"a\") + lookup({\"b\": 5}, \"b\")", "7"),
        ("compare(2, \"<=\", 2) and 0.25 < 0.3", "True"),
        ("len(concat([[1], [2, 3]], sep = \".\")) + len(window([1, 2, 3, 4, 5], 2, 1, 1, 9))", "7"),
        ("int(\"12\") + int(True)", "13"),
        ("f(2, c = 5) + f(2)", "22"),
    ] {
        let text = format!(
            "def f(a, b = 3, c = -1):\n    return a * b + c if c > 0 else a * b + 5\nfail(str({expression}))"
        );
        assert_eq!(told(&text), format!("mine.star:3:5: {value}"), "{expression}");
    }
}

#[test]
fn statements_mean_what_they_mean_in_python() {
    let text = "
counts = {}
def sift(numbers):
    kept = []
    for number in numbers:
        if number == 3:
            continue
        elif number > 6:
            break
        else:
            kept += [number]
    pair = [0, 0]
    pair[1], (a, b) = len(kept), (4, 5)
    pair[0] -= a * b
    kept.append(pair.pop())
    kept.insert(0, pair[-1])
    return kept
for word in ['x', 'y', 'x']:
    counts[word] = counts.get(word, 0) + 1
out = ' '.join([str(n) for n in sift(range(100))] + [k + str(v) for k, v in counts.items()])
fail(out)";
    assert_eq!(told(text), "mine.star:21:5: -20 0 1 2 4 5 6 6 x2 y1");
}

#[test]
fn what_is_wrong_is_named_with_line_and_column() {
    for (text, said) in [
        ("x = (1,\n  2", "mine.star:1:5: `(` is not closed"),
        ("x = 1 +", "1:8: expected a value, found the line's end"),
        ("if 1:\nx = 2", "2:1: expected a block that is moved in, found `x`"),
        ("if 1:\n        x = 2\n    y = 3", "3:5: this line belongs to no block"),
        ("\n\nwhile True:\n    pass", "3:1: a script has no `while`"),
        ("import os", "1:1: a script has no `import`"),
        ("x = 'a\n'", "1:5: this string is not closed where its line ends"),
        ("x = 1.5", "1:5: `1.5` is no share"),
        ("x = 4 / 2", "1:7: `/` has no meaning here"),
        ("x = 1 < 2 < 3", "1:11: comparisons in a row"),
        ("x = smaple(3)", "1:5: there is no `smaple`"),
        ("len = 3", "1:1: `len` is built in"),
        ("x = [1][3]", "1:8: there is no place 3 in a list of 1"),
        ("x = 1 // 0", "1:7: a division by 0"),
        ("x = 9223372036854775807 + 1", "1:25: the number has more than 63 bits"),
        ("x = 1 + 'a'", "1:7: `+` has no meaning between a number and a string"),
        ("x = [1].append()", "1:8: `append(item)` needs `item`"),
        ("x = [1].push(1)", "1:8: a list has no `push`"),
        ("x = len(1, 2)", "1:8: `len(list)` is given 2 values"),
        ("def f(a):\n    return b\nb = f()", "3:6: `f` needs `a`"),
        ("def f():\n    return a\nf()\na = 1", "2:12: this name has no value yet"),
        ("break", "1:1: there is no loop around this"),
        ("return 1", "1:1: `return` outside of a function"),
        ("def f():\n    def g():\n        pass", "2:5: a function within a block"),
        ("1 = x", "1:1: nothing can be assigned to this"),
        ("x = {[1]: 2, {}: 3}", "1:14: this should be a word, a number"),
        ("sample(3)", "1:7: chance is drawn in `make` alone"),
        ("x = 3", "the script `mine.star` declares no template"),
        ("template('a')", "1:9: `template("),
        ("template('a b', '{x}')", "1:9: `a b` is no name for a template"),
        ("template('a', 'no slot')", "1:9: every prompt must show each slot once"),
        ("template('a', '{x} and {y}:')", "what stands behind `{x}` may be a word of it"),
        ("template('a', '{x}{y}:')", "what stands behind `{x}` may be a word of it"),
        ("template('a', '{x/@*}:')", "nothing parts the items of `x`"),
        ("template('a', ['{x}:', '{y}:'])", "only some prompts show `y`"),
        ("template('a', '{x}:', completion = '{x}')", "the prompt shows `x` already"),
        ("template('a', '{x}:')", "1:9: `a` has no function `make`"),
        (
            "template('a', '{x}:', knobs = {'n': (5, 3)})\ndef make(): pass",
            "the knob `n` ends before it begins",
        ),
        ("template('a', '{x}:', knobs = {'len': 3})\ndef make(lne): pass", "2:10: `make` asks for `lne`"),
        ("template('a', '{x}:')\ntemplate('a', '{x}:')", "2:9: `a` is declared twice"),
    ] {
        let error = templates(text).unwrap_err();
        assert!(error.to_string().contains(said), "{text}\n{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_script_without_end_is_stopped_at_its_line() {
    for (body, said) in [
        ("for i in range(1000000000000):\n        pass", "mine.star:5:9: still going after 200000 steps"),
        ("x = [0]\n    for i in x:\n        x.append(i)", "still going after 200000 steps"),
        ("x = [0]\n    for i in range(99):\n        x = x + x", "6:15: more than 2097152 bytes"),
        ("x = [0]\n    for i in range(99):\n        x.extend(x)", "6:10: more than 2097152 bytes"),
        ("x = 'a'\n    for i in range(99):\n        x += x", "6:9: more than 2097152 bytes"),
        ("x = 'aaaa' * 9223372036854775807", "4:16: more than 2097152 bytes"),
        ("x = [0] * 9223372036854775807", "4:13: more than 2097152 bytes"),
        ("x = list(range(9223372036854775807))", "4:13: "),
        ("x = range(9223372036854775807)[:]", "4:35: more than 2097152 bytes"),
        ("x = sample(9223372036854775807)", "4:15: "),
        ("x = {}\n    for i in range(999999):\n        x[i] = i", "6:10: more than 2097152 bytes"),
        ("make()", "4:9: calls lie more than 250 levels deep"),
        ("x = []\n    x.append(x)\n    y = x == [x]", "6:11: calls lie more than 250 levels deep"),
        (
            "x = []\n    for i in range(99):\n        x = [x, x]\n    y = x == [x[0], x[0]]",
            "7:11: still going after",
        ),
        ("x = []\n    for i in range(9999):\n        x = [x]\n    fail('alive')", "7:9: alive"),
        ("x = [x for a in range(9999) for b in range(9999)]", "no value yet"),
        ("x = [a for a in range(9999) for b in range(9999)]", "still going after 200000 steps"),
        ("x = overlap(range(20000), range(20000))", "4:16: still going after 200000 steps"),
    ] {
        let text = format!(
            "template('a', '{{x}}:')\n\ndef make():\n    {body}\n    return {{'x': sample(3), 'answer': 1}}"
        );
        let error = stream(&text, &[]).unwrap_err();
        assert!(error.to_string().contains(said), "{body}\n{error}");
        assert!(error.hint().is_some());
    }
    for (text, said) in [
        (format!("x = {}1{}", "(".repeat(9999), ")".repeat(9999)), "more than 40 levels"),
        (format!("x = {}1", "-".repeat(9999)), "more than 40 levels"),
        (format!("x = 1{}", " + 1".repeat(9999)), "more than 200 operators"),
        (format!("x = a{}", "[0]".repeat(9999)), "more than 200 operators"),
        (format!("x = {}1", "not ".repeat(9999)), "more than 40 levels"),
        (format!("x = {}1", "1 if 1 else ".repeat(9999)), "more than 40 levels"),
    ] {
        assert!(told(&text).contains(said), "{}", told(&text));
    }
}

/// The rule of `recipes/templates/after.star`, with nothing of the script.
fn is_after(prompt: &str, completion: &str, right: usize) -> bool {
    let (doc, question) = prompt.strip_prefix("Document: ").unwrap().split_once("\nQuestion: ").unwrap();
    let question = question.strip_suffix("\nAnswer:").unwrap();
    let (_, behind) = format!(" {doc} ")
        .split_once(&format!(" {question} "))
        .map(|(a, b)| (a.len(), b.to_owned()))
        .unwrap();
    let said: Vec<&str> = behind.split(' ').take(right).collect();
    completion == format!(" {}", said.join(" "))
}

/// The rule of `recipes/templates/most_alike.star`.
fn is_most_alike(sample: &Sample, stream: &Stream) -> bool {
    let goal = stream.phrase(sample.items(0).next().unwrap());
    let shared: Vec<usize> = sample
        .items(1)
        .map(|option| words(&stream.phrase(option)).iter().filter(|word| words(&goal).contains(word)).count())
        .collect();
    let best = (0..shared.len()).max_by_key(|place| shared[*place]).unwrap();
    sample.completion() == format!(" {}", char::from(b'A' + best as u8))
}

#[test]
fn what_the_examples_make_is_what_they_solve_and_what_other_code_says() {
    let after = stream(AFTER, &[]).unwrap();
    let alike = stream(MOST_ALIKE, &[]).unwrap();
    let mut sample = Sample::default();
    for index in 0..10_000 {
        after.fill(index, &mut sample).unwrap();
        assert!(after.try_verify(&sample).unwrap(), "{}", sample.text());
        assert!(is_after(sample.prompt(), sample.completion(), 2), "{}", sample.text());
    }
    for index in 0..3_000 {
        alike.fill(index, &mut sample).unwrap();
        assert!(alike.verify(&sample) && is_most_alike(&sample, &alike), "{}", sample.text());
    }
    assert_eq!((sample.tally().samples, sample.tally().exhausted), (13_000, 0));
    assert!(sample.tally().ambiguous > 0, "noise makes some to be redrawn");
    for wording in Wording::ALL {
        for text in [AFTER, MOST_ALIKE] {
            let stream = Stream::new(Plan { wording, ..plan(text, &[]).unwrap() }).unwrap();
            for index in 0..200 {
                stream.fill(index, &mut sample).unwrap();
                assert!(stream.verify(&sample), "{wording:?}: {}", sample.text());
                assert_eq!(stream.score(&sample, sample.completion()), 1.0);
                assert!(stream.score(&sample, " nothing") < 1.0);
                assert!(!stream.verify_text(index, sample.frame(), sample.prompt(), " nothing", &[]));
                assert!(!sample.text().contains("  "), "{}", sample.text());
            }
        }
    }
}

#[test]
fn samples_depend_on_seed_index_and_text_alone() {
    let one = stream(AFTER, &[]).unwrap();
    let all = rows(&one, 0..100);
    let backwards: Vec<_> = rows(&one, (0..100).rev()).into_iter().rev().collect();
    assert_eq!(all, backwards);
    let threads: Vec<_> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4)
            .map(|part| {
                scope.spawn({
                    let one = &one;
                    move || rows(one, part * 25..part * 25 + 25)
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert_eq!(all, threads);
    let other = stream(&format!("{AFTER}\n# Another text.\n"), &[]).unwrap();
    assert!(rows(&other, 0..100).iter().all(|row| !all.contains(row)));
    assert_ne!(other.plan().template.version(), one.plan().template.version());
}

#[test]
fn knobs_are_set_and_curricula_rise() {
    let stream = stream(AFTER, &[("doc_len", "12"), ("right", "4")]).unwrap();
    for (prompt, completion) in rows(&stream, 0..50) {
        assert!(is_after(&prompt, &completion, 4));
        assert_eq!(words(prompt.split("\nQuestion").next().unwrap()).len(), 2 + 12);
    }
    let mut plan = plan(AFTER, &[("doc_len", "20")]).unwrap();
    plan.settings.to.set("doc_len", "120").unwrap();
    plan.settings.rows = 101;
    let stream = Stream::new(plan).unwrap();
    let mut sample = Sample::default();
    let mut len = |index| {
        stream.fill(index, &mut sample).unwrap();
        sample.items(0).next().unwrap().len()
    };
    assert_eq!([0, 1, 50, 100, 9999].map(&mut len), [20, 21, 70, 120, 120]);
}

#[test]
fn no_prompt_is_in_two_splits() {
    let of = |split| {
        let stream = Stream::new(Plan { split, ..plan(AFTER, &[("doc_len", "6")]).unwrap() }).unwrap();
        rows(&stream, 0..200).into_iter().map(|(prompt, _)| prompt).collect::<std::collections::HashSet<_>>()
    };
    let [train, validation, test] = Split::ALL.map(of);
    assert!(train.is_disjoint(&validation) && train.is_disjoint(&test) && validation.is_disjoint(&test));
}

#[test]
fn impossible_settings_are_refused_before_anything_is_made() {
    let cause = |error: &Error| std::error::Error::source(error).unwrap().to_string();
    let mut small = plan(MOST_ALIKE, &[("goal_len", "8..20")]).unwrap();
    small.pool = Arc::new(Pool::synthetic(32).unwrap());
    let error = Stream::new(small).unwrap_err();
    assert_eq!(error.to_string(), "`most_alike` can't be made with `goal_len=8..20 choices=3..5`");
    assert!(cause(&error).starts_with("mine.star:24:13: the pool has only 32 words"), "{}", cause(&error));
    // What a reader can't know.
    let error = stream(AFTER, &[("right", "1..3")]).unwrap_err();
    assert_eq!(error.to_string(), "`after` can't solve samples with `right=1..3`");
    // Nobody checked; the line that can't do it says so.
    let error = stream(AFTER, &[("doc_len", "4")]).unwrap_err();
    assert!(error.to_string().starts_with("mine.star:6:27: a span of 3 in a list of 2"), "{error}");
    // Always the same draw.
    let text = "template('a', '{x}:')\ndef make():\n    redraw()";
    assert!(stream(text, &[]).unwrap_err().to_string().contains("no sample of `a` can be made"));
}

#[test]
fn what_a_function_returns_wrongly_is_named() {
    for (made, said) in [
        ("None", "3:1: this should be a dict of slots, returned by `make`, and is None"),
        ("{'x': sample(2)}", "`make` returns no `answer`"),
        ("{'x': sample(2), 'anwser': 1, 'answer': 1}", "`make` returns `anwser`, which no prompt shows"),
        ("{'x': [], 'answer': 1}", "`make` returns an empty `x`"),
        (
            "{'x': sample(2), 'answer': 'Maybe'}",
            "`make` returns the string `Maybe` among the words of `answer`",
        ),
        ("{'x': sample(2), 'answer': 1000}", "`make` returns the number 1000"),
        ("{'x': [sample(2)], 'answer': 1}", "`make` returns a list among the words of `x`"),
        ("{'x': 0.5, 'answer': 1}", "`make` returns a share among the words of `x`"),
    ] {
        let text = format!("template('a', '{{x}}:')\n\ndef make():\n    return {made}");
        let error = stream(&text, &[]).unwrap_err();
        assert!(error.to_string().contains(said), "{made}\n{error}");
    }
    for (solved, parameters, said) in [
        (
            "0.5",
            "x",
            "5:1: this should be the answer that `solve` returns, words or a number, and is a share",
        ),
        (
            "1",
            "x, answer",
            "5:1: this should be True or False, since `solve` takes the answer, and is a number",
        ),
        ("x[9]", "x", "6:13: there is no place 9 in a list of 2"),
        ("shuffle(x)", "x", "6:19: chance is drawn in `make` alone"),
    ] {
        let text = format!(
            "template('a', '{{x}}:')\n\ndef make():\n    return {{'x': sample(2), 'answer': 1}}\ndef solve({parameters}):\n    return {solved}"
        );
        let stream = stream(&text, &[]).unwrap();
        let mut sample = Sample::default();
        stream.fill(0, &mut sample).unwrap();
        let error = stream.try_verify(&sample).unwrap_err();
        assert!(error.to_string().contains(said), "{solved}\n{error}");
        assert!(!stream.verify(&sample) && stream.score(&sample, "1") < 1.0);
    }
}

#[test]
fn a_rule_with_several_right_answers_judges() {
    let text = "template('a', '{x}:')\n\ndef make():\n    x = sample(5, distinct = True)\n    return {'x': x, 'answer': pick(x, 1)}\n\ndef solve(x, answer):\n    return len(answer) == 1 and answer[0] in x";
    let stream = stream(text, &[]).unwrap();
    let mut sample = Sample::default();
    stream.fill(3, &mut sample).unwrap();
    assert!(stream.verify(&sample));
    let other = words(sample.prompt())[2].to_owned();
    assert_eq!((stream.score(&sample, &other), stream.score(&sample, "nothing")), (1.0, 0.0));
}

#[test]
fn what_the_top_level_made_stays_as_it_is() {
    let text = "template('a', '{x}:')\nseen = []\ndef make():\n    seen.append(1)\n    return {'x': sample(2), 'answer': 1}";
    let error = stream(text, &[]).unwrap_err();
    assert!(error.to_string().contains("4:9: what the top level made can't be changed"), "{error}");
}

#[test]
fn the_operations_draw_what_they_say() {
    let text = "template('a', '{x}:')
def make():
    x = sample(40, distinct = True)
    y = sample(8, without = x)
    if overlap(x, y) != 0 or len(y) != 8 or len(x) != 40: fail('sample')
    if sort(shuffle(x)) != sort(x): fail('shuffle')
    p = pick(x, 9)
    if [index_of(x, w) for w in p] != sorted([index_of(x, w) for w in p]): fail('pick')
    s, at = span(x, 5)
    if s != x[at:at + 5]: fail('span')
    if len(drop(x, 1.0)) + len(drop(x, 0.0)) != 40: fail('drop')
    if len([1 for a, b in zip(x, replace(x, 3)) if a != b]) > 3: fail('replace')
    if insert(x, [y[0]], 2)[2] != y[0] or len(insert(x, y)) != 48: fail('insert')
    if not 3 <= int(3, 5) or int(3, 5) > 5: fail('int')
    if chance(0.0) or not chance(1.0): fail('chance')
    if choice(['a', 'b'], weights = [0, 3]) != 'b': fail('choice')
    return {'x': x, 'answer': pick(y, 2, distinct = False)}
";
    let stream = stream(text, &[]).unwrap();
    let mut sample = Sample::default();
    for index in 0..200 {
        assert!(stream.fill(index, &mut sample).is_ok(), "{:?}", sample.fault());
    }
}

/// The chance of `make` is that of the sample, so that a call can be repeated.
#[test]
fn a_call_leaves_nothing_behind() {
    let template = templates(AFTER).unwrap().remove(0);
    let settings = Settings::new(template.knobs());
    let pool = Pool::synthetic(64).unwrap();
    let made = |index| {
        let mut draw: Draw = Key::new(1, &["x"]).draw(index).attempt(0);
        let mut content = crate::cook::Content::default();
        template.make(&settings, &mut draw, &pool, &mut content).unwrap();
        content.tokens
    };
    let (first, _) = (made(0), made(1));
    assert_eq!(made(0), first);
}
