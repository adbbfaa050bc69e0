//! What the native module computes, without Python: generic, single-threaded and safe.

#![forbid(unsafe_code)]

pub mod bytes;
pub mod cache;
pub mod clock;
pub mod copy;
pub mod flight;
pub mod frame;
pub mod hash;
mod index;
mod lists;
pub mod policy;
mod slab;
mod stamp;
pub mod stats;
pub mod stripes;
pub mod waits;
mod weights;
