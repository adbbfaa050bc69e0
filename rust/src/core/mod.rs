//! What the native module computes, without Python: generic, single-threaded and safe.

#![forbid(unsafe_code)]

pub mod bytes;
pub mod cache;
pub mod changes;
pub mod clock;
pub mod copy;
pub mod decode;
pub mod flight;
mod floors;
pub mod frame;
pub mod guards;
pub mod hash;
mod index;
mod lists;
pub mod policy;
mod slab;
pub mod snapshot;
mod stamp;
pub mod stats;
mod tags;
pub mod waits;
mod weights;
