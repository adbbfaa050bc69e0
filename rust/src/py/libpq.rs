//! Reads results of libpq, by the functions of the very library that psycopg uses.

use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::mem;
use std::slice;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;

type Result_ = *const c_void;
type Count = unsafe extern "C" fn(Result_) -> c_int;
type OfColumn = unsafe extern "C" fn(Result_, c_int) -> c_int;
type Type = unsafe extern "C" fn(Result_, c_int) -> u32;
type OfCell = unsafe extern "C" fn(Result_, c_int, c_int) -> c_int;
type Value = unsafe extern "C" fn(Result_, c_int, c_int) -> *const c_char;

/// Text is 0.
const BINARY: c_int = 1;

#[derive(Clone, Copy)]
struct Functions {
    ntuples: Count,
    nfields: Count,
    fformat: OfColumn,
    ftype: Type,
    getlength: OfCell,
    getisnull: OfCell,
    getvalue: Value,
}

#[pyclass(frozen, module = "tierline._core")]
pub struct Libpq {
    functions: Functions,
    class: Py<PyType>,
}

#[pymethods]
impl Libpq {
    #[new]
    fn new(result_class: Py<PyType>, addresses: [usize; 7]) -> PyResult<Self> {
        if addresses.contains(&0) {
            return Err(PyValueError::new_err("a function of libpq has no address"));
        }
        let [ntuples, nfields, fformat, ftype, getlength, getisnull, getvalue] = addresses;
        // SAFETY: none is null, and whoever loads libpq passes the addresses of the functions of
        // these names, which libpq has kept with these types since its beginning. The library stays
        // loaded, for psycopg's module is never unloaded.
        let functions = unsafe {
            Functions {
                ntuples: mem::transmute::<usize, Count>(ntuples),
                nfields: mem::transmute::<usize, Count>(nfields),
                fformat: mem::transmute::<usize, OfColumn>(fformat),
                ftype: mem::transmute::<usize, Type>(ftype),
                getlength: mem::transmute::<usize, OfCell>(getlength),
                getisnull: mem::transmute::<usize, OfCell>(getisnull),
                getvalue: mem::transmute::<usize, Value>(getvalue),
            }
        };
        Ok(Self { functions, class: result_class })
    }

    #[pyo3(signature = (result, /))]
    fn describe(&self, result: &Bound<'_, PyAny>) -> PyResult<(c_int, Vec<u32>)> {
        let rows = self.rows(result)?;
        Ok((rows.count(), rows.types()))
    }
}

impl Libpq {
    /// The rows of psycopg's result.
    pub fn rows<'a>(&self, result: &'a Bound<'_, PyAny>) -> PyResult<Rows<'a>> {
        let py = result.py();
        if !result.get_type().is(self.class.bind(py)) {
            return Err(PyTypeError::new_err("not a result of psycopg's"));
        }
        let pointer: Option<usize> = result.getattr(intern!(py, "pgresult_ptr"))?.extract()?;
        match pointer {
            None | Some(0) => Err(PyValueError::new_err("the result is cleared")),
            Some(pointer) => Ok(Rows {
                functions: self.functions,
                result: pointer as Result_,
                owner: PhantomData,
            }),
        }
    }
}

/// The rows of a result, while its owner is borrowed: that keeps it alive, and nobody who has it
/// clears it meanwhile, for a connection and what comes from it belong to one thread at a time.
pub struct Rows<'a> {
    functions: Functions,
    result: Result_,
    owner: PhantomData<&'a ()>,
}

impl<'a> Rows<'a> {
    pub fn count(&self) -> c_int {
        // SAFETY: the result is alive, as its owner is.
        unsafe { (self.functions.ntuples)(self.result) }
    }

    fn types(&self) -> Vec<u32> {
        // SAFETY: the result is alive and has so many columns.
        unsafe {
            let count = (self.functions.nfields)(self.result);
            (0..count).map(|column| (self.functions.ftype)(self.result, column)).collect()
        }
    }

    /// Whether its columns are of those types, and in binary.
    pub fn are_of(&self, types: &[u32]) -> bool {
        // SAFETY: the result is alive.
        let count = unsafe { (self.functions.nfields)(self.result) };
        usize::try_from(count) == Ok(types.len())
            && (0..).zip(types).all(|(column, type_)| {
                // SAFETY: the result is alive and has so many columns.
                unsafe {
                    (self.functions.ftype)(self.result, column) == *type_
                        && (self.functions.fformat)(self.result, column) == BINARY
                }
            })
    }

    /// The bytes of a value; `None` for NULL, and where there is no such row or column.
    #[inline]
    pub fn cell(&self, row: c_int, column: c_int) -> Option<&'a [u8]> {
        // SAFETY: the result is alive. libpq checks both numbers, and answers with a pointer to as
        // many bytes as it says, which stay until the result is cleared.
        unsafe {
            let length = (self.functions.getlength)(self.result, row, column);
            if length <= 0 && (self.functions.getisnull)(self.result, row, column) != 0 {
                return None;
            }
            let value = (self.functions.getvalue)(self.result, row, column);
            if value.is_null() {
                return None;
            }
            Some(slice::from_raw_parts(value.cast(), usize::try_from(length).unwrap_or(0)))
        }
    }
}
