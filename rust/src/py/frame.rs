//! `pack_frame`, `unpack_frame`, `unpack_frames` and `FrameKeys`.

use pyo3::exceptions::{PyOSError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::core::frame::{self, BadKeys, Keyring, Stamp, Unsealed};

/// From this many bytes on other threads run meanwhile.
const LONG: usize = 1 << 15;
/// The cache counts time in milliseconds.
const LIFE_S_MIN: f64 = 0.001;

#[pyclass(frozen, module = "tierline._core")]
pub struct FrameKeys(Keyring);

#[pymethods]
impl FrameKeys {
    #[new]
    fn new(current: &str, keys: &Bound<'_, PyDict>) -> PyResult<Self> {
        let keys = keys
            .iter()
            .map(|(id, key)| Ok((id.extract::<String>()?, key.extract::<Vec<u8>>()?)))
            .collect::<PyResult<Vec<_>>>()?;
        Keyring::new(current, keys.iter().map(|(id, key)| (&**id, &**key))).map(Self).map_err(
            |bad| {
                PyValueError::new_err(match bad {
                    BadKeys::Id => "the id of a key has 1 to 255 bytes",
                    BadKeys::Length => "a key has 32 bytes",
                    BadKeys::NoCurrent => "no key has the id that is current",
                })
            },
        )
    }
}

#[pyfunction]
#[pyo3(signature = (payload, /, *, fingerprint, written_at_ms, place="", compress_from=None, keys=None))]
pub fn pack_frame<'py>(
    py: Python<'py>,
    payload: &[u8],
    fingerprint: u64,
    written_at_ms: i64,
    place: &str,
    compress_from: Option<usize>,
    keys: Option<&Bound<'py, FrameKeys>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let stamp = Stamp { fingerprint, written_at_ms };
    let from = compress_from.unwrap_or(usize::MAX);
    let keys = keys.map(|keys| &keys.get().0);
    let seal = || frame::seal(payload, stamp, place.as_bytes(), from, keys);
    let sealed = if payload.len() < LONG { seal() } else { py.detach(seal) };
    match sealed {
        Ok(frame) => Ok(PyBytes::new(py, &frame)),
        Err(Unsealed::TooLong) => {
            Err(PyOverflowError::new_err("a payload of 4 GiB or more does not fit a frame"))
        }
        Err(Unsealed::NoRandomness) => Err(PyOSError::new_err("the system has no random bytes")),
    }
}

#[pyfunction]
#[pyo3(signature = (frame, /, *, fingerprint, place="", keys=None))]
pub fn unpack_frame<'py>(
    py: Python<'py>,
    frame: &[u8],
    fingerprint: u64,
    place: &str,
    keys: Option<&Bound<'py, FrameKeys>>,
) -> Option<(Bound<'py, PyBytes>, i64)> {
    let keys = keys.map(|keys| &keys.get().0);
    let open = || frame::open(frame, fingerprint, place.as_bytes(), keys);
    let (payload, written_at_ms) = if frame.len() < LONG { open() } else { py.detach(open) }?;
    Some((PyBytes::new(py, &payload), written_at_ms))
}

/// Payloads, and the seconds that each is good for.
type Unpacked<'py> = (Vec<Option<Bound<'py, PyBytes>>>, Vec<f64>);

/// As [`unpack_frame`] for many frames, each of the place that a common beginning and a name make,
/// and only for those that are not yet so old: payloads, and the seconds that each is good for.
#[pyfunction]
#[pyo3(signature = (frames, names, /, *, fingerprint, beginning, now_s, ttl_s, keys=None))]
#[expect(clippy::too_many_arguments, reason = "Python calls it with names")]
pub fn unpack_frames<'py>(
    py: Python<'py>,
    frames: &Bound<'py, PyList>,
    names: &Bound<'py, PyList>,
    fingerprint: u64,
    beginning: &str,
    now_s: f64,
    ttl_s: f64,
    keys: Option<&Bound<'py, FrameKeys>>,
) -> PyResult<Unpacked<'py>> {
    let keys = keys.map(|keys| &keys.get().0);
    let mut place = beginning.as_bytes().to_vec();
    let (mut payloads, mut lives_s) = (Vec::new(), Vec::new());
    for (bytes, name) in frames.iter().zip(names.iter()) {
        place.truncate(beginning.len());
        place.extend_from_slice(name.cast::<PyString>()?.to_str()?.as_bytes());
        // What is no bytes is no frame: Redis answers with nothing where there is no key.
        let found = bytes.cast::<PyBytes>().ok().and_then(|bytes| {
            let (payload, at_ms) = frame::open(bytes.as_bytes(), fingerprint, &place, keys)?;
            let life_s = frame::life_s(at_ms, now_s, ttl_s);
            (life_s >= LIFE_S_MIN).then(|| (PyBytes::new(py, &payload), life_s))
        });
        lives_s.push(found.as_ref().map_or(0.0, |(_, life_s)| *life_s));
        payloads.push(found.map(|(payload, _)| payload));
    }
    Ok((payloads, lives_s))
}
