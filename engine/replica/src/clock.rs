//! The wall clock as a value from outside, so that tests set it and the fold cannot read it.

use engine_types::UnixMillis;

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> UnixMillis;
}
