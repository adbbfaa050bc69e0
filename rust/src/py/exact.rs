//! `Decimal` and `UUID`, which have no C interface.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

use super::values::unreadable;
use crate::core::decode::numeric;

pub fn decimal_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "decimal", "Decimal")
}

pub fn uuid_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "uuid", "UUID")
}

/// The Decimal of a binary `numeric`; `text` is where it is spelled out.
pub fn decimal<'py>(
    py: Python<'py>,
    data: &[u8],
    text: &mut Vec<u8>,
) -> PyResult<Bound<'py, PyAny>> {
    text.clear();
    numeric::write(data, text).map_err(unreadable)?;
    let text = PyString::from_bytes(py, text)?;
    decimal_class(py)?.call1((text,))
}

/// The UUID of 128 bits.
pub fn uuid(py: Python<'_>, value: u128) -> PyResult<Bound<'_, PyAny>> {
    static SLOTS: PyOnceLock<Option<Slots>> = PyOnceLock::new();
    let class = uuid_class(py)?;
    let value = value.into_pyobject(py)?.into_any();
    match SLOTS.get_or_try_init(py, || Slots::of(class))? {
        Some(slots) => slots.filled(class, &value),
        None => class.call((py.None(), py.None(), py.None(), py.None(), value), None),
    }
}

/// The slots of `uuid.UUID`, whose constructor and `__setattr__` are slow Python code.
struct Slots {
    int: Py<PyAny>,
    is_safe: Py<PyAny>,
    unknown: Py<PyAny>,
    set: ffi::descrsetfunc,
    alloc: ffi::allocfunc,
}

impl Slots {
    /// `None` if the class is not made of these two slots alone.
    fn of(class: &Bound<'_, PyType>) -> PyResult<Option<Self>> {
        let py = class.py();
        let members = class.getattr(intern!(py, "__dict__"))?;
        let (Ok(int), Ok(is_safe)) = (members.get_item("int"), members.get_item("is_safe")) else {
            return Ok(None);
        };
        let new = intern!(py, "__new__");
        let is_known = members.get_item("__slots__")?.eq(("int", "is_safe", "__weakref__"))?
            && class.getattr(new)?.is(&py.get_type::<PyAny>().getattr(new)?)
            && class.getattr(intern!(py, "__dictoffset__"))?.extract::<usize>()? == 0;
        let member = (&raw mut ffi::PyMemberDescr_Type).cast();
        if !is_known || int.get_type_ptr() != member || is_safe.get_type_ptr() != member {
            return Ok(None);
        }
        // SAFETY: both are classes, which are initialised and alive.
        let (set, alloc) =
            unsafe { (ffi::PyMemberDescr_Type.tp_descr_set, (*class.as_type_ptr()).tp_alloc) };
        let (Some(set), Some(alloc)) = (set, alloc) else { return Ok(None) };
        let unknown = py.import("uuid")?.getattr("SafeUUID")?.getattr("unknown")?;
        let (int, is_safe, unknown) = (int.unbind(), is_safe.unbind(), unknown.unbind());
        Ok(Some(Self { int, is_safe, unknown, set, alloc }))
    }

    fn filled<'py>(
        &self,
        class: &Bound<'py, PyType>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        // SAFETY: a class without `__new__` of its own makes its instances so. The functions are
        // those of its members and are given an instance of it, as they check.
        unsafe {
            let uuid = Bound::from_owned_ptr_or_err(py, (self.alloc)(class.as_type_ptr(), 0))?;
            for (member, value) in
                [(&self.int, value.as_ptr()), (&self.is_safe, self.unknown.as_ptr())]
            {
                if (self.set)(member.as_ptr(), uuid.as_ptr(), value) != 0 {
                    return Err(PyErr::fetch(py));
                }
            }
            Ok(uuid)
        }
    }
}
