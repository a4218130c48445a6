//! All ways in which a pattern fits a prompt and its completion.

use std::rc::Rc;

use super::expression::Expression;
use super::pattern::{At, Lead, Pattern, State};

/// What happened on one way through the pattern, in the order in which a renderer would meet it.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A slot showed the text between these offsets, in these turns of the loops.
    Slot { slot: usize, start: usize, end: usize, turns: Rc<[usize]> },
    /// A condition held, or did not.
    Test { test: usize, verdict: bool, turns: Rc<[usize]> },
    /// A loop ended after so many turns.
    Ended {
        number: usize,
        count: usize,
        /// Whether it began or ended where stripping may have eaten something.
        at_edge: bool,
        turns: Rc<[usize]>,
    },
    /// An option was drawn.
    Drawn { number: usize, option: usize },
}

/// How far a text can be followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Furthest {
    pub(super) at: usize,
    pub(super) expected: String,
}

/// The work was given up.
pub(super) struct GivenUp;

/// A prompt, a mark, and its completion; both stripped.
pub(super) struct Text {
    pub(super) text: String,
    /// Where the prompt ends; the completion begins one byte later.
    pub(super) parted: usize,
}

impl Text {
    pub(super) fn new(prompt: &str, completion: &str) -> Self {
        Self { text: [prompt, "\0", completion].concat(), parted: prompt.len() }
    }

    pub(super) fn start(&self, at: usize) -> usize {
        if at <= self.parted { 0 } else { self.parted + 1 }
    }

    pub(super) fn end(&self, at: usize) -> usize {
        if at <= self.parted { self.parted } else { self.text.len() }
    }

    /// Where a constant that begins at `at` ends. Stripping has eaten the blanks at the ends of a part:
    /// a constant that lies there may lack its own.
    fn constant(&self, constant: &str, at: usize) -> Option<usize> {
        let constant = if at == self.start(at) { trim_start(constant) } else { constant };
        let rest = self.text.get(at..self.end(at))?;
        if rest.starts_with(constant) {
            return Some(at + constant.len());
        }
        let missing = constant.strip_prefix(rest)?;
        trim_start(missing).is_empty().then(|| self.end(at))
    }
}

fn blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(blank)
}

const UNSEEN: u8 = 0;
const OPEN: u8 = 1;
const NO: u8 = 2;
const YES: u8 = 3;

/// Steps after which a text is given up: some tens of milliseconds.
const STEPS: usize = 3_000_000;
/// Nested states after which a text is given up, for the stack's sake.
const DEPTH: usize = 1_500;

pub(super) struct Matcher<'a> {
    pattern: &'a Pattern,
    text: &'a Text,
    /// Per state and offset, whether the end can be reached; loops' turns and fields' values left aside.
    seen: Vec<Vec<u8>>,
    pub(super) furthest: Furthest,
    /// Whether each slot has to show something.
    filled: bool,
    /// How many turns of loops may show nothing, at the ends of prompt and completion, where stripping eats
    /// what they show.
    unseen: usize,
    steps: usize,
    /// A slot that would have to show another text than before.
    pub(super) contradicted: Option<usize>,
    /// How many ways have come to the end.
    ended: usize,
    turns: Vec<usize>,
    begun: Vec<usize>,
    entered: Vec<usize>,
    trail: Vec<Event>,
}

impl<'a> Matcher<'a> {
    /// Where `filled`, a slot that shows nothing, or only blanks, is no way.
    pub(super) fn new(pattern: &'a Pattern, text: &'a Text, filled: bool, unseen: usize) -> Self {
        Self {
            pattern,
            text,
            filled,
            unseen,
            seen: vec![Vec::new(); pattern.states.len()],
            furthest: Furthest::default(),
            steps: 0,
            contradicted: None,
            ended: 0,
            turns: vec![0; pattern.loops.len()],
            begun: vec![0; pattern.loops.len()],
            entered: vec![0; pattern.loops.len()],
            trail: Vec::new(),
        }
    }

    fn step(&mut self, depth: usize) -> Result<(), GivenUp> {
        self.steps += 1;
        if self.steps > STEPS || depth > DEPTH { Err(GivenUp) } else { Ok(()) }
    }

    fn expected(&mut self, at: usize, constant: &str) {
        let rest = self.text.text.get(at..self.text.end(at)).unwrap_or_default();
        let constant = if at == self.text.start(at) { trim_start(constant) } else { constant };
        let same: usize =
            rest.chars().zip(constant.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        if at + same > self.furthest.at || self.furthest.expected.is_empty() {
            let expected = constant.get(same..).unwrap_or_default().to_owned();
            self.furthest = Furthest { at: at + same, expected };
        }
    }

    /// Whether the end can be reached from here.
    pub(super) fn reaches(&mut self, state: At, at: usize, depth: usize) -> Result<bool, GivenUp> {
        self.step(depth)?;
        let length = self.text.text.len() + 1;
        let Some(row) = self.seen.get_mut(state) else { return Ok(false) };
        if row.is_empty() {
            row.resize(length, UNSEEN);
        }
        match row.get(at) {
            // A loop that came back without a turn's text: whether it leads anywhere is found out further up.
            Some(&OPEN | &YES) => return Ok(true),
            Some(&UNSEEN) => {}
            _ => return Ok(false),
        }
        row[at] = OPEN;
        let pattern = self.pattern;
        let found = match &pattern.states[state] {
            State::End => at == self.text.text.len() && at > self.text.parted,
            State::Text(constant, next) => match self.text.constant(constant, at) {
                Some(end) => self.reaches(*next, end, depth + 1)?,
                None => {
                    self.expected(at, constant);
                    false
                }
            },
            State::Part(next) => {
                if at == self.text.parted {
                    self.reaches(*next, at + 1, depth + 1)?
                } else {
                    if at < self.text.parted {
                        self.expected(at, "");
                    }
                    false
                }
            }
            State::Slot(slot, next) => {
                let mut found = false;
                for end in self.ends(*slot, *next, at) {
                    if self.reaches(*next, end, depth + 1)? {
                        found = true;
                        break;
                    }
                }
                found
            }
            State::Branch(ways) => {
                let mut found = false;
                for (_, way) in ways {
                    if self.reaches(*way, at, depth + 1)? {
                        found = true;
                        break;
                    }
                }
                found
            }
            State::Head { body, after, .. } => {
                self.reaches(*after, at, depth + 1)? || self.reaches(*body, at, depth + 1)?
            }
            State::Enter(_, next) | State::Back(_, next) | State::Draw { next, .. } => {
                self.reaches(*next, at, depth + 1)?
            }
        };
        self.seen[state][at] = if found { YES } else { NO };
        Ok(found)
    }

    /// Where a slot that begins at `at` may end, by what has to follow it.
    fn ends(&mut self, slot: usize, next: At, at: usize) -> Vec<usize> {
        let (text, pattern) = (self.text, self.pattern);
        let end = text.end(at);
        let Some(rest) = text.text.get(at..end) else { return Vec::new() };
        let slot = &pattern.slots[slot];
        if slot.character {
            return rest.chars().next().map(|c| at + c.len_utf8()).into_iter().collect();
        }
        let mut ends = Vec::new();
        if let Some(options) = &slot.options {
            for option in options {
                match text.constant(option, at) {
                    Some(end) => ends.push(end),
                    None => self.expected(at, option),
                }
            }
            ends.sort_unstable();
            ends.dedup();
            return ends;
        }
        let Some(leads) = &pattern.leads[next] else {
            let from = if self.filled { rest.len() - trim_start(rest).len() + 1 } else { 0 };
            ends.extend(rest.char_indices().map(|(i, _)| at + i).filter(|end| *end >= at + from));
            if !self.filled || from <= rest.len() {
                ends.push(end);
            }
            return ends;
        };
        if at == text.start(at) {
            ends.push(at);
        }
        for lead in leads {
            let Lead::Text(lead) = lead else {
                ends.push(end);
                continue;
            };
            let before = ends.len();
            let mut from = 0;
            while let Some(found) = rest.get(from..).and_then(|rest| rest.find(&**lead)) {
                ends.push(at + from + found);
                from += found + rest[from + found..].chars().next().map_or(1, char::len_utf8);
            }
            // The end of the part may have lost the blanks at the constant's end.
            let kept = lead.trim_end_matches(blank).len();
            for cut in (kept..lead.len()).filter(|cut| lead.is_char_boundary(*cut)) {
                if rest.ends_with(&lead[..cut]) {
                    ends.push(end - cut);
                }
            }
            if ends.len() == before {
                self.missing(at, lead);
            }
        }
        ends.sort_unstable();
        ends.dedup();
        if self.filled {
            ends.retain(|end| !trim_start(text.text.get(at..*end).unwrap_or_default()).is_empty());
        }
        ends
    }

    /// Notes that a constant comes nowhere behind `at`.
    fn missing(&mut self, at: usize, lead: &str) {
        if at >= self.furthest.at {
            self.furthest = Furthest { at, expected: lead.to_owned() };
        }
    }

    /// Goes every way, and hands each to `found` until it says to stop.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn each(
        &mut self,
        state: At,
        at: usize,
        depth: usize,
        found: &mut dyn FnMut(&[Event]) -> bool,
    ) -> Result<bool, GivenUp> {
        self.step(depth)?;
        if !self.reaches(state, at, depth)? {
            return Ok(true);
        }
        let pattern = self.pattern;
        match &pattern.states[state] {
            State::End => {
                self.ended += 1;
                Ok(found(&self.trail))
            }
            State::Text(constant, next) => match self.text.constant(constant, at) {
                Some(end) => self.each(*next, end, depth + 1, found),
                None => Ok(true),
            },
            State::Part(next) => self.each(*next, at + 1, depth + 1, found),
            State::Slot(slot, next) => {
                let turns: Rc<[usize]> = self.turns.as_slice().into();
                for end in self.ends(*slot, *next, at) {
                    if self.contradicts(*slot, at, end) {
                        self.contradicted.get_or_insert(*slot);
                        continue;
                    }
                    if !self.reaches(*next, end, depth + 1)? {
                        continue;
                    }
                    let ended = self.ended;
                    self.trail.push(Event::Slot { slot: *slot, start: at, end, turns: Rc::clone(&turns) });
                    let on = self.each(*next, end, depth + 1, found)?;
                    self.trail.pop();
                    if !on {
                        return Ok(false);
                    }
                    // A text in a loop ends where the next turn can begin: more turns, not longer texts.
                    if pattern.slots[*slot].repeated && self.ended > ended {
                        break;
                    }
                }
                Ok(true)
            }
            State::Branch(ways) => {
                for (tests, way) in ways {
                    let turns: Rc<[usize]> = self.turns.as_slice().into();
                    let length = self.trail.len();
                    self.trail.extend(tests.iter().map(|(test, verdict)| Event::Test {
                        test: *test,
                        verdict: *verdict,
                        turns: Rc::clone(&turns),
                    }));
                    let on = self.each(*way, at, depth + 1, found)?;
                    self.trail.truncate(length);
                    if !on {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            State::Enter(number, head) => {
                let before = (self.turns[*number], self.begun[*number], self.entered[*number]);
                self.turns[*number] = 0;
                self.entered[*number] = at;
                let on = self.each(*head, at, depth + 1, found);
                (self.turns[*number], self.begun[*number], self.entered[*number]) = before;
                on
            }
            State::Head { number, body, after } => {
                let begun = self.begun[*number];
                let turns: Rc<[usize]> = self.turns.as_slice().into();
                let entered = self.entered[*number];
                let at_edge = entered == self.text.start(entered) || at == self.text.end(at);
                let count = turns[*number];
                self.trail.push(Event::Ended { number: *number, count, at_edge, turns });
                let on = self.each(*after, at, depth + 1, found);
                self.trail.pop();
                if !on? {
                    return Ok(false);
                }
                self.begun[*number] = at;
                let on = self.each(*body, at, depth + 1, found);
                self.begun[*number] = begun;
                on
            }
            State::Back(number, head) => {
                let begun = self.begun[*number];
                let is_unseen = begun == at;
                if is_unseen {
                    if self.unseen == 0 || (at != self.text.start(at) && at != self.text.end(at)) {
                        return Ok(true);
                    }
                    self.unseen -= 1;
                }
                self.turns[*number] += 1;
                let on = self.each(*head, at, depth + 1, found);
                self.turns[*number] -= 1;
                self.unseen += usize::from(is_unseen);
                self.begun[*number] = begun;
                on
            }
            State::Draw { number, options, next } => {
                for option in 0..*options {
                    self.trail.push(Event::Drawn { number: *number, option });
                    let on = self.each(*next, at, depth + 1, found)?;
                    self.trail.pop();
                    if !on {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    fn number(&self, shows: &Expression) -> Option<usize> {
        match shows {
            Expression::Turn(number) => self.turns.get(*number).copied(),
            Expression::Sum(a, b) => match (&**a, &**b) {
                (Expression::Turn(number), Expression::Constant(add)) => {
                    Some(self.turns.get(*number)? + usize::try_from(add.as_u64()?).ok()?)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the slot has shown another text before; asked of fields alone, which show the same each time.
    fn contradicts(&self, slot: usize, start: usize, end: usize) -> bool {
        let shows = &self.pattern.slots[slot].shows;
        // How often a loop has turned is known.
        if let Some(number) = self.number(shows) {
            return self.text.text.get(start..end) != Some(number.to_string().as_str());
        }
        if !matches!(shows, Expression::Field(_)) {
            return false;
        }
        let text = &self.text.text;
        self.trail.iter().any(|event| match event {
            Event::Slot { slot: other, start: s, end: e, .. }
                if self.pattern.slots[*other].shows == *shows =>
            {
                let (a, b) = (text.get(*s..*e).unwrap_or_default(), text.get(start..end).unwrap_or_default());
                a.trim_matches(blank) != b.trim_matches(blank)
            }
            _ => false,
        })
    }
}
