//! `Cache.load_shared`: single flight for loaders that keep what they load themselves.

use pyo3::prelude::*;

use super::cache::Cache;
use super::flight::{Boarded, OnError, board, timed};
use super::loader;
use super::reading::Answer;
use super::wait::{Outcome, Raising, Unserved};

#[pymethods]
impl Cache {
    #[pyo3(signature = (key, loader, /))]
    fn load_shared<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        loader: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let load = || timed(py, slf.get(), || loader::call(loader, key));
        loop {
            let mine = match board(slf, key, &[])? {
                Boarded::Lead(mine) => mine,
                Boarded::Join(place) => match place.join(OnError::Retry) {
                    Ok(Some(value)) => return Ok(value),
                    Ok(None) => continue,
                    // Whoever would wait for itself does not need to: nothing forbids two loads.
                    Err(Unserved::Deadlock) => return load(),
                    Err(Unserved::Raised(error)) => return Err(error),
                },
                Boarded::Reentered => return load(),
            };
            // Another flight may have landed between this thread's miss and its lead.
            if let Answer::Value(value) = slf.get().peek(key, mine.hash)? {
                mine.land(py, &Outcome::Value(value.clone().unbind()));
                return Ok(value);
            }
            let outcome = load();
            match &outcome {
                Ok(value) => mine.land(py, &Outcome::Value(value.clone().unbind())),
                Err(error) => mine.land(py, &Outcome::Raised(Raising::new(py, error))),
            }
            return outcome;
        }
    }
}
