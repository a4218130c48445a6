//! A template turned inside out: the passage in front, instruction and response behind it (spec/bonito.md 2.2).
