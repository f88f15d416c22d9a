//! Tests of the whole room. `model.rs` is what a journal should hold; everything else compares with it.

mod api;
mod bit_flip;
mod fail_nth;
mod full_disk;
mod golden;
mod kept;
mod mend;
mod mend_guards;
mod model;
mod power_cut;
mod props;
mod real;
mod succeed;
