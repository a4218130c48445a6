//! Statements that a passage decides: kept or shortened ones follow from it, negated and altered
//! ones conflict with it, and those that make a possibility a fact it leaves open.

use super::clause::{self, Clause, Verb};
use super::text::{Sentence, Text, Token, capitalised};
use super::value::{Kind, Value};
use super::words::{Class, is_stop, third_person};

/// What the passage says about a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Truth {
    /// It follows.
    Follows,
    /// It conflicts.
    Conflicts,
    /// Neither.
    Open,
}

/// A statement about the passage.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// The statement, with its full stop.
    pub(super) text: String,
    /// What the passage says about it.
    pub(super) truth: Truth,
    /// The sentence it was made of, without the clauses that can be left away.
    pub(super) base: String,
    /// The same as a yes-no question, where that is certain.
    pub(super) question: Option<String>,
    /// The sentence it was made of.
    pub(super) sentence: usize,
    /// Which pattern made it.
    pub(super) form: &'static str,
}

/// The forms that say the same as the sentence they were made of, and no less.
pub(super) const SAME: &[&str] = &["reworded", "moved", "active", "synonyms"];

/// Every statement that can be made of the passage.
pub(super) fn statements(text: &Text) -> Vec<Statement> {
    let mut found = Vec::new();
    for sentence in &text.sentences {
        if let Some(clause) = &sentence.clause {
            let maker = Maker { text, sentence, clause };
            maker.kept(&mut found);
            maker.reworded(&mut found);
            maker.synonyms(&mut found);
            maker.parts(&mut found);
            maker.negated(&mut found);
            maker.altered(&mut found);
            maker.open(&mut found);
        }
        conditional(text, sentence, &mut found);
    }
    found.retain(|statement| statement.text.split_whitespace().count() <= 32);
    found
}

struct Maker<'a, 't> {
    text: &'a Text<'t>,
    sentence: &'a Sentence,
    clause: &'a Clause,
}

impl Maker<'_, '_> {
    fn tokens(&self, range: std::ops::Range<usize>) -> &[Token] {
        &self.sentence.tokens[range]
    }

    fn words(&self, range: std::ops::Range<usize>) -> String {
        self.text.words(self.tokens(range))
    }

    fn verb(&self) -> &str {
        &self.sentence.tokens[self.clause.verb].lower
    }

    /// The statement out of its parts: date in front, subject, verb, rest.
    fn say(&self, verb: &str, rest: &str) -> String {
        let subject = self.words(self.clause.subject.clone());
        let front = self.words(self.clause.front.clone());
        let lead = if front.is_empty() {
            capitalised(&subject)
        } else {
            match self.text.small_start(self.tokens(self.clause.subject.clone())) {
                Some(small) => format!("{}, {small}", capitalised(&front)),
                None => format!("{}, {subject}", capitalised(&front)),
            }
        };
        super::text::collapse(&format!("{lead} {verb} {rest}.")).replace(" .", ".")
    }

    /// The yes-no question, for a subject that is not "we" or "you".
    fn ask(&self, rest: &str) -> Option<String> {
        let subject = self.tokens(self.clause.subject.clone());
        if subject[0].class.any(Class::PRON) || !self.clause.plain || self.clause.negated {
            return None;
        }
        let small = self.text.small_start(subject)?;
        let words = match self.clause.kind {
            Verb::Aux => format!("{} {small} {rest}?", clause::asked(self.verb(), self.clause.person)),
            Verb::Lexical { aux, base } => format!("{aux} {small} {base} {rest}?"),
        };
        let front = self.words(self.clause.front.clone());
        Some(if front.is_empty() { capitalised(&words) } else { format!("{}, {words}", capitalised(&front)) })
    }

    fn add(
        &self,
        found: &mut Vec<Statement>,
        text: String,
        question: Option<String>,
        truth: Truth,
        form: &'static str,
    ) {
        let verb = self.words(self.clause.verb..self.clause.verb + 1);
        let base = self.say(&verb, &self.words(self.clause.short.clone()));
        found.push(Statement { text, truth, base, question, sentence: self.sentence.index, form });
    }

    fn kept(&self, found: &mut Vec<Statement>) {
        if !self.clause.plain {
            return;
        }
        let verb = self.sentence.tokens[self.clause.verb].clone();
        let verb_text = self.text.words(std::slice::from_ref(&verb));
        let short = self.words(self.clause.short.clone());
        let form = if self.clause.short.len() < self.clause.rest.len() { "shortened" } else { "kept" };
        let rest_tokens = self.tokens(self.clause.short.clone());
        self.add(found, self.say(&verb_text, &short), self.ask(&short), Truth::Follows, form);
        let plural = clause::is_plural(self.tokens(self.clause.subject.clone()));
        let be = if plural { "are" } else { "is" };
        let agent = self.clause.person;
        let not = rest_tokens[0].is("not");
        let after =
            if not { self.words(self.clause.short.start + 1..self.clause.short.end) } else { short.clone() };
        // "You may be asked" and "you may need surgery" permit nothing.
        let state = matches!(
            rest_tokens[usize::from(not).min(rest_tokens.len() - 1)].lower.as_str(),
            "be" | "have"
                | "need"
                | "experience"
                | "notice"
                | "find"
                | "receive"
                | "see"
                | "feel"
                | "lose"
                | "wish"
        );
        let reworded = match (verb.lower.as_str(), not) {
            ("shall", false) => Some(if agent { "must" } else { "will" }.to_owned()),
            ("must", false) if agent => Some(format!("{be} required to")),
            ("shall", true) => Some("must not".to_owned()),
            ("may" | "must", true) if agent && !state => Some(format!("{be} not allowed to")),
            ("may", false) if agent && self.party() && !state => Some(format!("{be} allowed to")),
            _ => None,
        };
        if let Some(verb) =
            reworded.filter(|_| !(rest_tokens[0].class.any(Class::ADV) || self.clause.quantified && not))
        {
            self.add(found, self.say(&verb, &after), None, Truth::Follows, "reworded");
        }
    }

    /// The same in other words: the date moved to the other end, the passive made active.
    fn reworded(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if !clause.plain {
            return;
        }
        let verb = self.words(clause.verb..clause.verb + 1);
        let short = self.tokens(clause.short.clone());
        if !clause.front.is_empty()
            && !short.iter().any(|token| token.is(",") || token.class.any(Class::REL | Class::SUB))
        {
            let subject = self.words(clause.subject.clone());
            let front = self.words(clause.front.clone());
            let mut chars = front.chars();
            let small: String =
                chars.next().into_iter().flat_map(char::to_lowercase).chain(chars.clone()).collect();
            let text =
                format!("{} {verb} {} {small}.", capitalised(&subject), self.words(clause.short.clone()));
            self.add(found, text, None, Truth::Follows, "moved");
        }
        let Some((agent, participle)) = self.passive() else { return };
        let Some(base) = super::words::base_of(&participle.lower) else { return };
        let Some(small) = self.text.small_start(self.tokens(clause.subject.clone())) else { return };
        let active = match verb.as_str() {
            "is" | "are" if clause::is_plural(agent) => base.to_owned(),
            "is" | "are" => third_person(base),
            "was" | "were" if participle.lower.ends_with("ed") => participle.lower.clone(),
            _ => return,
        };
        if clause.front.is_empty() && !clause.negated {
            let text = format!("{} {active} {small}.", capitalised(&self.text.words(agent)));
            self.add(found, text, None, Truth::Follows, "active");
        }
    }

    /// Words replaced by others that mean the same.
    fn synonyms(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if !clause.plain {
            return;
        }
        let tokens = self.tokens(clause.subject.start..clause.short.end);
        let mut text = self.words(clause.front.clone());
        if !text.is_empty() {
            text.push_str(", ");
        }
        let mut changed = 0;
        let mut at = 0;
        let mut end = None;
        while at < tokens.len() {
            let blank = end.is_some_and(|end| end < tokens[at].span.start);
            if blank {
                text.push(' ');
            }
            let small = !tokens[at].capital;
            let words = tokens[at..].iter().map(|token| token.lower.as_str());
            let (step, new) = match super::words::synonym(words).filter(|_| small) {
                Some((step, new)) => (step, Some(new)),
                None => (1, None),
            };
            let last = &tokens[at + step - 1];
            changed += usize::from(new.is_some());
            text.push_str(new.unwrap_or(&self.text.text[tokens[at].span.start..last.span.end]));
            end = Some(last.span.end);
            at += step;
        }
        if changed > 0 {
            self.add(found, format!("{}.", capitalised(&text)), None, Truth::Follows, "synonyms");
        }
    }

    /// A part that follows from the whole: "X is a rare disorder" of one "that affects the skin", one
    /// member of what is included.
    fn parts(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if !clause.plain
            || clause.negated
            || clause.quantified
            || self.sentence.tokens[clause.subject.start].class.any(Class::PRON)
        {
            return;
        }
        let short = self.tokens(clause.short.clone());
        let verb = self.words(clause.verb..clause.verb + 1);
        let defines =
            self.sentence.tokens[clause.verb].class.any(Class::BE) && (short[0].is("a") || short[0].is("an"));
        let cut = short.iter().position(|token| {
            (token.class.any(Class::REL) && !token.is("how"))
                || matches!(token.lower.as_str(), "characterized" | "characterised" | "caused")
        });
        if let (true, Some(cut @ 4..)) = (defines, cut) {
            let before = &short[cut - 1];
            if before.word
                && !before.class.any(Class::CLOSED)
                && !before.lower.ends_with("ed")
                && !before.class.any(Class::VAGUE)
            {
                let rest = self.text.words(&short[..cut]);
                let question = self.ask(&rest);
                self.add(found, self.say(&verb, &rest), question, Truth::Follows, "part");
            }
        }
        let includes = matches!(clause.kind, Verb::Lexical { base: "include", .. })
            || (self.sentence.tokens[clause.verb].class.any(Class::MODAL) && short[0].is("include"));
        if includes {
            let skip = usize::from(short[0].is("include"));
            let list = &short[skip..];
            let first_comma = list.iter().position(|token| token.is(","));
            let joint = list.iter().rposition(|token| token.is("and") || token.is("or"));
            if let (Some(comma), Some(joint)) = (first_comma, joint) {
                let last = &list[joint + 1..];
                let simple = |item: &[Token]| {
                    (1..=4).contains(&item.len())
                        && item.iter().all(|token| {
                            token.word
                                && !token.class.any(Class::REL | Class::AUX | Class::CONJ | Class::PRON)
                        })
                };
                let item = if simple(last) && joint > comma && list[joint - 1].is(",") {
                    last
                } else {
                    &list[..comma]
                };
                if simple(item) {
                    let lead = self.text.words(&short[..skip]);
                    let rest = format!("{lead} {}", self.text.words(item));
                    let question = self.ask(rest.trim());
                    self.add(found, self.say(&verb, rest.trim()), question, Truth::Follows, "part");
                }
            }
        }
    }

    /// The agent and participle of "X is caused by Y", where nothing else follows.
    fn passive(&self) -> Option<(&[Token], &Token)> {
        let short = self.tokens(self.clause.short.clone());
        let (participle, by) = short.first().zip(short.get(1))?;
        let agent = short.get(2..).filter(|agent| !agent.is_empty() && agent.len() <= 9)?;
        let passive = self.sentence.tokens[self.clause.verb].class.any(Class::BE)
            && participle.class.any(Class::V_PART)
            && by.is("by");
        let subject = &self.sentence.tokens[self.clause.subject.start];
        let plain = |token: &Token| {
            token.word
                && !token
                    .class
                    .any(Class::REL | Class::SUB | Class::PRON | Class::AUX | Class::V_ING | Class::ADV)
                && !matches!(
                    token.lower.as_str(),
                    "its"
                        | "their"
                        | "at"
                        | "on"
                        | "during"
                        | "after"
                        | "before"
                        | "to"
                        | "from"
                        | "with"
                        | "for"
                        | "or"
                )
        };
        (passive
            && !subject.class.any(Class::PRON)
            && agent.iter().all(plain)
            && !agent[0].digit
            && !agent[0].class.any(Class::NUM))
        .then_some((agent, participle))
    }

    /// Whether the subject is one that permissions are given to.
    fn party(&self) -> bool {
        let head = clause::head(self.tokens(self.clause.subject.clone()));
        head.class.any(Class::PARTY)
    }

    /// Whether turning the verb round turns the meaning round.
    fn negatable(&self) -> bool {
        let clause = self.clause;
        let subject = self.tokens(clause.subject.clone());
        let first = &subject[0];
        let counted =
            first.digit || first.class.any(Class::NUM | Class::QUANT) || first.is("a") || first.is("an");
        let past = matches!(self.verb(), "was" | "were" | "had")
            || matches!(clause.kind, Verb::Lexical { aux: "did", .. });
        let some = counted && (past || !first.class.any(Class::DET));
        let hedged = matches!(self.verb(), "might" | "could" | "would")
            || (self.verb() == "may" && !self.party() && !self.text.legal);
        let scope =
            self.tokens(clause.short.clone()).iter().any(|token| token.class.any(Class::SCOPE | Class::NEG));
        let to = self.sentence.tokens[clause.short.start].is("to")
            // "was not found in 52 patients" may be true though it was found in 53.
            || self.tokens(clause.short.clone()).iter().any(|token| token.digit || token.class.any(Class::NUM));
        let some = some || to || subject.iter().any(|token| token.class.any(Class::SCOPE));
        clause.plain
            && !clause.negated
            && !clause.quantified
            && !some
            && !hedged
            && !scope
            && !(first.is("we") && self.verb() == "may")
    }

    fn negated(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        let short = self.words(clause.short.clone());
        if self.negatable() {
            let verb = match clause.kind {
                Verb::Aux if self.verb() == "can" => "cannot".to_owned(),
                Verb::Aux => format!("{} not", self.verb()),
                Verb::Lexical { aux, base } => format!("{aux} not {base}"),
            };
            self.add(found, self.say(&verb, &short), None, Truth::Conflicts, "negated");
        }
        self.opposite(found);
        // A prohibition turned into its opposite.
        let rest = self.tokens(clause.short.clone());
        let polar = rest.iter().any(|token| {
            matches!(
                token.lower.as_str(),
                "any"
                    | "either"
                    | "yet"
                    | "nor"
                    | "unless"
                    | "until"
                    | "except"
                    | "without"
                    | "other"
                    | "only"
                    | "but"
                    | "if"
                    | "because"
                    | "necessarily"
                    | "all"
                    | "anyone"
                    | "anything"
                    | "ever"
                    | "always"
                    | "every"
            )
        });
        if rest[0].is("not")
            && !polar
            && clause.plain
            && !clause.quantified
            && matches!(self.verb(), "shall" | "must" | "is" | "are" | "was" | "were" | "will")
        {
            let rest = self.words(clause.short.start + 1..clause.short.end);
            self.add(found, self.say(self.verb(), &rest), None, Truth::Conflicts, "un-negated");
        }
    }

    /// A word near the verb, or the verb, replaced by its opposite: "was higher", "rose".
    fn opposite(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        let subject = &self.sentence.tokens[clause.subject.start];
        let hedged = matches!(self.verb(), "may" | "can" | "might" | "could");
        let some = subject.class.any(Class::NUM) || subject.digit || clause.quantified;
        if !clause.plain || clause.negated || hedged || some {
            return;
        }
        let verb = self.words(clause.verb..clause.verb + 1);
        if let (Verb::Lexical { .. }, Some(other)) = (clause.kind, super::words::opposite(self.verb())) {
            self.add(
                found,
                self.say(other, &self.words(clause.short.clone())),
                None,
                Truth::Conflicts,
                "opposite",
            );
            return;
        }
        let be = self.sentence.tokens[clause.verb].class.any(Class::BE);
        let near = clause.short.start..(clause.short.start + 3).min(clause.short.end);
        for at in near.filter(|_| be) {
            let token = &self.sentence.tokens[at];
            let Some(other) = super::words::opposite(&token.lower).filter(|_| !token.capital) else {
                // Only adverbs may stand between the verb and the word.
                if token.class.any(Class::ADV) { continue } else { break }
            };
            let next = self.sentence.tokens.get(at + 1);
            let alone =
                next.is_none_or(|next| !next.word || next.class.any(Class::PREP | Class::CONJ | Class::SUB));
            let first =
                at == clause.short.start || self.sentence.tokens[clause.short.start].class.any(Class::ADV);
            let idiom = next.is_some_and(|next| next.is("up") || next.is("down"));
            if alone && first && !idiom {
                let (start, end) = (self.words(clause.short.start..at), self.words(at + 1..clause.short.end));
                let rest = tidy(super::text::collapse(&format!("{start} {other} {end}")).as_str());
                self.add(found, self.say(&verb, &rest), self.ask(&rest), Truth::Conflicts, "opposite");
            }
            break;
        }
    }

    /// A number, date or share put in the place of another.
    fn altered(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        let all = self.tokens(clause.subject.start..clause.short.end);
        let bounded = all.iter().any(|token| token.class.any(Class::BOUND));
        if bounded
            || clause.negated
            || !clause.plain
            || matches!(self.verb(), "may" | "can" | "might" | "could")
        {
            return;
        }
        for value in &self.sentence.values {
            if value.tokens.end > clause.short.end
                || value.tokens.start < clause.subject.start
                || self.text.occurrences(&value.text) > 1
            {
                continue;
            }
            let Some(other) = self.other(value) else { continue };
            let swap = |range: std::ops::Range<usize>| {
                if value.tokens.start >= range.start && value.tokens.end <= range.end {
                    let (start, end) = (
                        self.words(range.start..value.tokens.start),
                        self.words(value.tokens.end..range.end),
                    );
                    Some(format!("{start} {other} {end}").trim().to_owned())
                } else {
                    None
                }
            };
            let Some(short) = swap(clause.short.clone()) else { continue };
            let verb = self.words(clause.verb..clause.verb + 1);
            let short = tidy(&short);
            self.add(found, self.say(&verb, &short), self.ask(&short), Truth::Conflicts, "altered");
        }
    }

    /// Another value of the same kind and shape from the passage, else a number near this one.
    fn other(&self, value: &Value) -> Option<String> {
        if matches!(value.kind, Kind::Name | Kind::Phrase | Kind::Quoted) {
            return None;
        }
        let here = self.words(0..self.sentence.tokens.len());
        let alike = |other: &&Value| {
            std::mem::discriminant(&other.kind) == std::mem::discriminant(&value.kind)
                && shape(&other.text) == shape(&value.text)
                && other.text != value.text
                && !super::question::occurs(&here, &other.text)
        };
        let found = self.text.clean().flat_map(|sentence| &sentence.values).find(alike);
        found.map(|value| value.text.clone()).or_else(|| near(value))
    }

    /// A statement that goes further than the hedged sentence.
    fn open(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if clause.negated || !clause.plain {
            return;
        }
        let short_tokens = self.tokens(clause.short.clone());
        let short = self.words(clause.short.clone());
        let weak = short_tokens.iter().any(|token| token.class.any(Class::WEAK));
        let subject = self.tokens(clause.subject.clone());
        let plural = clause::is_plural(subject);
        if matches!(self.verb(), "may" | "might") && !weak && !clause.quantified && !self.decided_elsewhere()
        {
            self.add(found, self.say("will", &short), None, Truth::Open, "made certain");
        }
        let first = &subject[0];
        if clause.front.is_empty()
            && matches!(first.lower.as_str(), "some" | "many" | "several")
            && subject.len() > 1
            && subject[1].word
            && !subject[1].is("of")
            && plural
            && !self.decided_elsewhere()
        {
            let verb = self.words(clause.verb..clause.verb + 1);
            let counted = self.words(clause.subject.start + 1..clause.subject.end);
            self.add(found, format!("Most {counted} {verb} {short}."), None, Truth::Open, "some to most");
        }
        let thought = short_tokens.windows(2).position(|pair| {
            matches!(pair[0].lower.as_str(), "thought" | "believed" | "suspected" | "considered")
                && pair[1].is("to")
        });
        let to_be = short_tokens.get(2).is_some_and(|be| be.is("be")) && short_tokens.len() > 4;
        if thought == Some(0) && matches!(self.verb(), "is" | "are") && to_be && !self.decided_elsewhere() {
            let rest = self.words(clause.short.start + 3..clause.short.end);
            self.add(found, self.say(self.verb(), &rest), None, Truth::Open, "made certain");
        }
    }

    /// Whether another sentence shares most of the words, and so may decide what this one leaves open.
    fn decided_elsewhere(&self) -> bool {
        let content: Vec<&str> = self
            .sentence
            .tokens
            .iter()
            .map(|token| token.lower.as_str())
            .filter(|word| !is_stop(word))
            .collect();
        self.text.sentences.iter().filter(|other| other.index != self.sentence.index).any(|other| {
            let shared =
                content.iter().filter(|word| other.tokens.iter().any(|token| token.lower == **word)).count();
            shared * 2 > content.len()
        })
    }
}

/// "If X is terminated, ..." leaves open whether it is.
fn conditional(text: &Text, sentence: &Sentence, found: &mut Vec<Statement>) {
    let tokens = &sentence.tokens;
    if !sentence.alone || !tokens[0].is("if") {
        return;
    }
    let Some(comma) = tokens.iter().position(|token| token.is(",")) else { return };
    let condition = &tokens[1..comma];
    if !(5..=18).contains(&condition.len()) || tokens.len() - comma < 5 {
        return;
    }
    let Some(clause) = clause::find(condition) else { return };
    let be = condition[clause.verb].lower.as_str();
    if !matches!(be, "is" | "are")
        || clause.negated
        || !clause.plain
        || clause.quantified
        || clause.short.len() < 3
    {
        return;
    }
    if condition.iter().any(|token| matches!(token.lower.as_str(), "or" | "any" | "it" | "they" | "such"))
        || condition[0].is("a")
        || condition[0].is("an")
    {
        return;
    }
    let subject = text.words(&condition[clause.subject.clone()]);
    let rest = text.words(&condition[clause.short.clone()]);
    let participle = condition[clause.short.start].class.any(Class::V_PART)
        && !condition[clause.short.start].class.any(Class::V_BASE)
        && !matches!(
            condition[clause.short.start].lower.as_str(),
            "located" | "interested" | "concerned" | "based" | "required"
        );
    let verb = match (participle, be) {
        (true, "is") => "has been",
        (true, _) => "have been",
        (false, be) => be,
    };
    let statement = format!("{} {verb} {rest}.", capitalised(&subject));
    found.push(Statement {
        base: statement.clone(),
        text: statement,
        truth: Truth::Open,
        question: None,
        sentence: sentence.index,
        form: "condition",
    });
}

/// Blanks before commas and signs, left by a swap, taken out.
fn tidy(text: &str) -> String {
    text.replace(" ,", ",").replace(" )", ")").replace("( ", "(").replace(" %", "%")
}

/// Digits as 0 and other letters as they are, shortened: values of one shape can stand for each other.
fn shape(text: &str) -> (usize, bool, bool) {
    let words = text.split_whitespace().count();
    (words, text.starts_with(|c: char| c.is_ascii_digit() || c == '$'), text.contains('.'))
}

/// A whole number near the one in the value, in the same words around it.
fn near(value: &Value) -> Option<String> {
    let digits: String =
        value.text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let tail_digit = value.text.replacen(&digits, "", 1).chars().any(|c| c.is_ascii_digit());
    let number: u32 = digits.parse().ok()?;
    if tail_digit || number < 2 || digits.starts_with('0') {
        return None;
    }
    let other = match value.kind {
        Kind::Percent => {
            if number > 50 {
                number - 20
            } else {
                number + 20
            }
        }
        Kind::Span | Kind::Count(_) | Kind::Measure(_) => {
            if number < 10 {
                number + 2
            } else {
                number * 2
            }
        }
        Kind::Date if number > 1500 => number - 4,
        _ => return None,
    };
    Some(value.text.replacen(&digits, &other.to_string(), 1))
}
