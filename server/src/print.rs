//! What commands print. Whoever reads it may go away in the middle (`gotthard status | head`): that ends the program as
//! it ends any other, and is no panic.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// `println!` for everything that a command prints to its standard output.
macro_rules! say {
    ($($args:tt)*) => { $crate::print::line(format_args!($($args)*)) };
}
pub(crate) use say;

pub fn line(text: Arguments<'_>) {
    let Err(error) = writeln!(stdout(), "{text}") else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("gotthard: cannot write to the standard output: {error}");
    std::process::exit(1);
}
