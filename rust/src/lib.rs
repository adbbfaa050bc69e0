//! The native core of Tierline: an in-memory cache, the frame of cached bytes in Redis, and an
//! encoder for PostgreSQL's binary COPY.
//!
//! [`core`] knows no Python and holds no `unsafe`; `py` is the thin shell that makes it the module
//! `tierline._core`, whose whole surface is shown by `python/tierline/_core.pyi`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod core;

#[cfg(feature = "python")]
mod py;
