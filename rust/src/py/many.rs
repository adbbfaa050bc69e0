//! `Cache.get_or_load_many`.

use std::sync::Arc;
use std::thread::ThreadId;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::cache::Cache;
use super::flight::{Boarded, Lead, OnError, board, join, timed};
use super::loader;
use super::wait::{Outcome, Raising, Seat};
use crate::core::clock::Ttl;

type Key<'py> = Bound<'py, PyAny>;

/// The values of many keys. Keys that the loader leaves out are left out.
///
/// Own flights land before others' are waited for, so two calls never wait for each other.
pub fn get_or_load_many<'py>(
    cache: &Cache,
    keys: &Bound<'py, PyAny>,
    loader: &Bound<'py, PyAny>,
    ttl: Option<Ttl>,
    on_error: OnError,
) -> PyResult<Bound<'py, PyDict>> {
    let py = keys.py();
    // Each key once: this call would meet its own flight at the second.
    let unique = PyDict::new(py);
    for key in keys.try_iter()? {
        unique.set_item(key?, py.None())?;
    }
    let mut missing = Vec::new();
    for (key, _) in &unique {
        match cache.read(&key)? {
            Some(value) => unique.set_item(key, value)?,
            None => missing.push(key),
        }
    }
    let mut absent = Vec::new();
    while !missing.is_empty() {
        let (leads, joined) = board_all(cache, &unique, std::mem::take(&mut missing))?;
        if !leads.is_empty() {
            load_all(cache, loader, leads, &unique, &mut absent, ttl)?;
        }
        for (key, seat, leader) in joined {
            match join(py, &seat, leader, on_error)? {
                Some(value) => unique.set_item(key, value)?,
                None => missing.push(key),
            }
        }
    }
    for key in absent {
        unique.del_item(key)?;
    }
    Ok(unique)
}

type Leads<'a, 'py> = Vec<(Key<'py>, Lead<'a>)>;
type Joined<'py> = Vec<(Key<'py>, Arc<Seat>, ThreadId)>;

/// Leads or boards a flight for each key; values that have come meanwhile go into `found`.
fn board_all<'a, 'py>(
    cache: &'a Cache,
    found: &Bound<'py, PyDict>,
    keys: Vec<Key<'py>>,
) -> PyResult<(Leads<'a, 'py>, Joined<'py>)> {
    let mut leads = Vec::new();
    let mut joined = Vec::new();
    for key in keys {
        match board(cache, &key)? {
            Boarded::Lead(lead) => match cache.peek(&key, lead.hash)? {
                Some(value) => {
                    lead.land(key.py(), &Outcome::Value(value.clone().unbind()));
                    found.set_item(key, value)?;
                }
                None => leads.push((key, lead)),
            },
            Boarded::Join(seat, leader) => joined.push((key, seat, leader)),
        }
    }
    Ok((leads, joined))
}

/// Loads what this call leads, in one call of the loader, and lands it.
fn load_all<'py>(
    cache: &Cache,
    loader: &Bound<'py, PyAny>,
    leads: Leads<'_, 'py>,
    found: &Bound<'py, PyDict>,
    absent: &mut Vec<Key<'py>>,
    ttl: Option<Ttl>,
) -> PyResult<()> {
    let py = loader.py();
    let wanted = PyList::new(py, leads.iter().map(|(key, _)| key))?;
    let answer = timed(py, cache, || {
        let mapping = loader::call(loader, wanted.as_any())?;
        // A dict of our own: a mapping's methods are Python code and may change their mind.
        let answer = PyDict::new(py);
        answer.update(mapping.cast()?)?;
        Ok(answer)
    });
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            for (_, lead) in leads {
                lead.land(py, &Outcome::Raised(Raising::new(py, &error)));
            }
            return Err(error);
        }
    };
    for (key, lead) in leads {
        if let Some(value) = answer.get_item(&key)? {
            let deadline = Cache::deadline_of(ttl);
            cache.fill_at(&key, &value, (lead.hash, lead.token), deadline)?;
            lead.land(py, &Outcome::Value(value.clone().unbind()));
            found.set_item(key, value)?;
        } else {
            lead.land(py, &Outcome::None);
            absent.push(key);
        }
    }
    Ok(())
}
