//! The `instil` program; all of it is in the library, so that the Python package can run it too.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    instil_cli::main(std::env::args_os())
}
