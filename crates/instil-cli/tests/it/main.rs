//! The program from outside: exit code, stdout and stderr of whole commands.

mod docs;
mod errors;
mod generate;
mod kill;
mod recorded;
mod support;
mod server;
