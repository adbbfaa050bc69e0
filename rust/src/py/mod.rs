//! The module `tierline._core`: Python's view of [`crate::core`].
//!
//! The rule of this shell: while a cache is locked no Python code runs and nothing is allocated or
//! released on Python's heap. Keys are hashed before; what needs `__eq__` is compared after
//! ([`lookup`]); what leaves a cache is released after.

mod aging;
mod arguments;
mod burial;
mod cache;
mod check;
mod compare;
mod copy;
mod decode;
mod exact;
mod fields;
mod flight;
mod frame;
mod frame_reader;
mod get;
mod hottest;
mod items;
mod layout;
mod libpq;
mod listener;
mod lives;
mod loader;
mod loading;
mod lock;
mod lookup;
mod many;
mod mapping;
mod memo;
mod native;
mod objects;
mod options;
mod persistence;
mod reader;
mod reading;
mod reload;
mod shards;
mod sharing;
mod state;
mod stats;
mod store;
mod values;
mod wait;
mod weigher;

use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pymodule(gil_used = false, name = "_core")]
fn core_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<cache::Cache>()?;
    cache::install(module.py())?;
    get::install(module.py())?;
    items::install(module.py())?;
    module.add_class::<stats::CacheStats>()?;
    module.add_class::<memo::Memo>()?;
    memo::install(module.py())?;
    module.add_class::<check::EntityChecker>()?;
    module.add_class::<copy::CopyEncoder>()?;
    module.add_class::<libpq::Libpq>()?;
    module.add_class::<decode::RowDecoder>()?;
    module.add_class::<frame::FrameKeys>()?;
    module.add_class::<frame_reader::FrameReader>()?;
    module.add_function(wrap_pyfunction!(frame::pack_frame, module)?)?;
    module.add_function(wrap_pyfunction!(frame::unpack_frame, module)?)?;
    module.add_function(wrap_pyfunction!(frame::unpack_frames, module)?)?;
    module.add_function(wrap_pyfunction!(lives::advance_clock, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("__build__", build(module.py())?)
}

/// What a bug report should say about the binary.
fn build(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let build = PyDict::new(py);
    build.set_item("version", env!("CARGO_PKG_VERSION"))?;
    build.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    build.set_item("gil", if cfg!(Py_GIL_DISABLED) { "free-threaded" } else { "gil" })?;
    Ok(build)
}
