//! `pack_frame` and `unpack_frame`.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::core::frame::{self, HEADER, Stamp};

#[pyfunction]
#[pyo3(signature = (payload, /, *, fingerprint, written_at_ms))]
pub fn pack_frame<'py>(
    py: Python<'py>,
    payload: &[u8],
    fingerprint: u64,
    written_at_ms: i64,
) -> PyResult<Bound<'py, PyBytes>> {
    let header = frame::header(payload, Stamp { fingerprint, written_at_ms })
        .map_err(|_| PyOverflowError::new_err("a payload of 4 GiB or more does not fit a frame"))?;
    PyBytes::new_with(py, HEADER + payload.len(), |frame| {
        frame[..HEADER].copy_from_slice(&header);
        frame[HEADER..].copy_from_slice(payload);
        Ok(())
    })
}

#[pyfunction]
#[pyo3(signature = (frame, /, *, fingerprint))]
pub fn unpack_frame<'py>(
    py: Python<'py>,
    frame: &[u8],
    fingerprint: u64,
) -> Option<(Bound<'py, PyBytes>, i64)> {
    let (payload, written_at_ms) = frame::open(frame, fingerprint)?;
    Some((PyBytes::new(py, payload), written_at_ms))
}
