//! What a shape can't carry, counted by kind.

macro_rules! losses {
    ($($variant:ident $word:literal $about:literal;)*) => {
        /// A part of a record that a shape has no place for: a closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Loss { $(#[doc = $about] $variant,)* }

        impl Loss {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in reports.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What is lost, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

losses! {
    Id "id" "The row's own id.";
    System "system" "The standing instructions.";
    TaskId "task_id" "The task's name.";
    AllowedOutputs "allowed_outputs" "The list of outputs there are.";
    TaskExamples "task_examples" "The examples that belong to a task's definition.";
    TaskFacts "task_facts" "What else a task's file says of it.";
    Roles "roles" "Who said what: several turns become one text.";
    TrailingTurns "trailing_turns" "Turns after the last answer.";
    Completion "completion" "The answer, where the shape holds prompts alone.";
    Names "names" "Names of speakers.";
    Parts "parts" "Content that has no place, such as an image, or a text beside a call.";
    Tools "tools" "The definitions of functions.";
    ToolCalls "tool_calls" "Calls of functions.";
    ToolCallIds "tool_call_ids" "Which result belongs to which call.";
    Thinking "thinking" "What was thought before it was said.";
    Train "train" "Which turns the loss counts.";
    References "references" "Other outputs that would be as good.";
    Rejected "rejected" "The answer that is liked less.";
    Edges "edges" "Blanks around texts, whether they end with a point, or where a prompt ends and its answer begins.";
    Ranks "ranks" "Answers between the best and the worst.";
    Label "label" "Whether an answer, or a step of it, is good.";
    Fields "fields" "Structured slots, such as the passage, whose text stands in no turn.";
    TurnExtra "turn_extra" "Keys of messages that have no place.";
    Extra "extra" "Keys of the row that have no place.";
}

/// The losses of one row: each kind once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(Vec<Loss>);

impl Losses {
    pub(super) fn add(&mut self, loss: Loss) {
        if !self.0.contains(&loss) {
            self.0.push(loss);
        }
    }

    pub(super) fn add_if(&mut self, is_lost: bool, loss: Loss) {
        if is_lost {
            self.add(loss);
        }
    }

    /// The kinds, in the order of [`Loss::ALL`].
    pub fn kinds(&self) -> Vec<Loss> {
        let mut kinds = self.0.clone();
        kinds.sort();
        kinds
    }

    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
