//! The library from outside: whole runs with a scripted model.

mod journal;
mod layers;
mod road;
mod support;
