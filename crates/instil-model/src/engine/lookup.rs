//! Tokens guessed from what was read and written before.
//!
//! Answers and paraphrases quote their text: where the last tokens stood before, those that followed them then are
//! fed along with the next forward pass. Whether one was right is known from the token that is drawn at its place, so that
//! no completion depends on a guess (prompt-lookup decoding, Saxena 2023; the draw of a place is a function of its logits and
//! the sample's seed).

/// Tokens that have to be the same before others are guessed: fewer are often found by chance.
const KEY: usize = 3;

/// The most guesses of a sequence in one step.
const MOST: usize = 15;

/// Steps without guesses where those before were wrong.
const REST: u8 = 8;

/// How well guessing has gone in a sequence.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// How many tokens are guessed next time.
    reach: usize,
    /// Steps until it is tried again.
    rest: u8,
}

impl Default for Lookup {
    fn default() -> Self {
        Self { reach: 3, rest: 0 }
    }
}

impl Lookup {
    /// At most `most` tokens that may follow these.
    pub(super) fn guess<'a>(&mut self, tokens: &'a [u32], most: usize) -> &'a [u32] {
        if self.rest > 0 {
            self.rest -= 1;
            return &[];
        }
        let most = most.min(self.reach);
        if most == 0 || tokens.len() <= KEY {
            return &[];
        }
        let (before, key) = tokens.split_at(tokens.len() - KEY);
        // The latest place is the likeliest one. It may overlap the key, as in a text that repeats itself.
        let earlier = &tokens[..before.len() + KEY - 1];
        let Some(place) = earlier.windows(KEY).rposition(|window| window == key) else { return &[] };
        let following = &tokens[place + KEY..];
        &following[..most.min(following.len())]
    }

    /// How many tokens were guessed last time, and how many of them wrongly.
    pub(super) fn learn(&mut self, guessed: usize, wrong: usize) {
        if wrong == 0 {
            self.reach = (2 * self.reach).min(MOST);
        } else if wrong < guessed {
            self.reach = guessed - wrong + 1;
        } else {
            self.reach /= 2;
            if self.reach == 0 {
                (self.reach, self.rest) = (1, REST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_last_time_is_guessed() {
        let tokens = [1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 1, 2, 3];
        let mut lookup = Lookup::default();
        assert_eq!(lookup.guess(&tokens, 9), [5, 6, 7]);
        assert_eq!(lookup.guess(&tokens, 2), [5, 6]);
        assert!(lookup.guess(&tokens, 0).is_empty());
        assert!(lookup.guess(&tokens[..5], 9).is_empty());
        assert!(lookup.guess(&[1, 2, 3], 9).is_empty());
        assert_eq!(lookup.guess(&[4, 4, 4, 4], 9), [4]);
    }

    #[test]
    fn wrong_guesses_become_fewer_and_rest() {
        let tokens = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3];
        let mut lookup = Lookup::default();
        assert_eq!(lookup.guess(&tokens, 9).len(), 3);
        lookup.learn(3, 0);
        assert_eq!(lookup.guess(&tokens, 9).len(), 6);
        lookup.learn(6, 4);
        assert_eq!(lookup.guess(&tokens, 9).len(), 3);
        for wrong in [3, 1] {
            assert_eq!(lookup.guess(&tokens, 9).len(), wrong);
            lookup.learn(wrong, wrong);
        }
        for _ in 0..REST {
            assert!(lookup.guess(&tokens, 9).is_empty());
        }
        assert_eq!(lookup.guess(&tokens, 9).len(), 1);
    }
}
