//! `Cache.get_or_load_many`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::cache::Cache;
use super::flight::{Boarded, Lead, Place, Wish, board, reentered, stand_in, timed};
use super::loader;
use super::lookup::hash;
use super::reading::Answer;
use super::reload::{self, Reload};
use super::state::When;
use super::store::{store_absence, store_if};
use super::wait::{Outcome, Raising};

type Key<'py> = Bound<'py, PyAny>;

/// The values of many keys. Keys that the loader leaves out are left out.
///
/// Own flights land before others' are waited for, so two calls never wait for each other.
pub fn get_or_load_many<'py>(
    cache: &Bound<'py, Cache>,
    keys: &Bound<'py, PyAny>,
    loader: &Bound<'py, PyAny>,
    wish: &Wish,
) -> PyResult<Bound<'py, PyDict>> {
    let py = keys.py();
    // Each key once: this call would meet its own flight at the second.
    let unique = PyDict::new(py);
    for key in keys.try_iter()? {
        unique.set_item(key?, py.None())?;
    }
    let (mut missing, mut absent, stale) = (Vec::new(), Vec::new(), PyList::empty(py));
    for (key, _) in &unique {
        match cache.get().consult(&key, hash(&key)?)? {
            Answer::Value(value) => unique.set_item(key, value)?,
            Answer::Stale { value, reload } => {
                unique.set_item(&key, value)?;
                if reload {
                    stale.append(key)?;
                }
            }
            Answer::Absent => absent.push(key),
            Answer::Nothing | Answer::Expired => missing.push(key),
        }
    }
    // First, for nobody else tries to reload these for a while, whatever becomes of the others.
    if !stale.is_empty() {
        reload::start(Reload::many(cache, stale, loader, wish.clone()), py)?;
    }
    while !missing.is_empty() {
        let (leads, joined) = board_all(cache, &unique, &mut absent, missing, wish)?;
        missing = Vec::new();
        if !leads.is_empty() {
            load_all(cache, loader, leads, &unique, &mut absent, wish)?;
        }
        for (key, place) in joined {
            match place.join(wish.on_error)? {
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

/// Loads those of the keys that nobody else is loading.
pub fn load_missing<'py>(
    cache: &Bound<'py, Cache>,
    keys: &Bound<'py, PyList>,
    loader: &Bound<'py, PyAny>,
    wish: &Wish,
) -> PyResult<()> {
    let (found, mut absent) = (PyDict::new(cache.py()), Vec::new());
    let keys = keys.iter().collect();
    let (leads, _) = board_all(cache, &found, &mut absent, keys, wish)?;
    if leads.is_empty() {
        return Ok(());
    }
    load_all(cache, loader, leads, &found, &mut absent, wish)
}

type Leads<'a, 'py> = Vec<(Key<'py>, Lead<'a, 'py>)>;
type Joined<'a, 'py> = Vec<(Key<'py>, Place<'a, 'py>)>;

/// Leads or boards a flight for each key; what has come meanwhile goes into `found` or `absent`.
fn board_all<'a, 'py>(
    cache: &'a Bound<'py, Cache>,
    found: &Bound<'py, PyDict>,
    absent: &mut Vec<Key<'py>>,
    keys: Vec<Key<'py>>,
    wish: &Wish,
) -> PyResult<(Leads<'a, 'py>, Joined<'a, 'py>)> {
    let mut leads = Vec::new();
    let mut joined = Vec::new();
    for key in keys {
        match board(cache, &key, &wish.tags)? {
            Boarded::Lead(lead) => match cache.get().peek(&key, lead.hash)? {
                Answer::Value(value) => {
                    lead.land(key.py(), &Outcome::Value(value.clone().unbind()));
                    found.set_item(key, value)?;
                }
                Answer::Absent => absent.push(key),
                _ => leads.push((key, lead)),
            },
            Boarded::Join(place) => joined.push((key, place)),
            Boarded::Reentered => return Err(reentered()),
        }
    }
    Ok((leads, joined))
}

/// Loads what this call leads, in one call of the loader, and lands it.
fn load_all<'py>(
    cache: &Bound<'py, Cache>,
    loader: &Bound<'py, PyAny>,
    leads: Leads<'_, 'py>,
    found: &Bound<'py, PyDict>,
    absent: &mut Vec<Key<'py>>,
    wish: &Wish,
) -> PyResult<()> {
    let py = loader.py();
    let wanted = PyList::new(py, leads.iter().map(|(key, _)| key))?;
    let answer = timed(py, cache.get(), || {
        let mapping = loader::call(loader, wanted.as_any())?;
        // A dict of our own: a mapping's methods are Python code and may change their mind.
        let answer = PyDict::new(py);
        answer.update(mapping.cast()?)?;
        Ok(answer)
    });
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return land_failed(cache, leads, found, error, wish),
    };
    for (key, lead) in leads {
        let when = When::Current(lead.token);
        if let Some(value) = answer.get_item(&key)? {
            store_if(cache, &key, &value, (lead.hash, when), &wish.terms())?;
            lead.land(py, &Outcome::Value(value.clone().unbind()));
            found.set_item(key, value)?;
        } else {
            if let Some(life) = cache.get().settings.lives.of_absence(None, &wish.tags) {
                store_absence(cache, &key, (lead.hash, when), life)?;
            }
            lead.land(py, &Outcome::None);
            absent.push(key);
        }
    }
    Ok(())
}

/// Lands flights whose load failed: with stale values where there are some, else with the error,
/// which is raised if there is any such key.
fn land_failed<'py>(
    cache: &Bound<'py, Cache>,
    leads: Leads<'_, 'py>,
    found: &Bound<'py, PyDict>,
    error: PyErr,
    wish: &Wish,
) -> PyResult<()> {
    let py = cache.py();
    let mut raises = false;
    for (key, lead) in leads {
        if let Some(value) = stand_in(cache.get(), &key, lead.hash, &error, wish)? {
            lead.land(py, &Outcome::Value(value.clone().unbind()));
            found.set_item(key, value)?;
        } else {
            lead.land(py, &Outcome::Raised(Raising::new(py, &error)));
            raises = true;
        }
    }
    if raises {
        return Err(error);
    }
    error.write_unraisable(py, Some(cache));
    Ok(())
}
