//! Reads the fields of a Struct's instances.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

enum Field {
    /// By its slot.
    Member(Py<PyAny>, ffi::descrgetfunc),
    Name(Py<PyString>),
}

/// A class and the fields of its instances, in the order wanted.
pub struct Fields {
    class: Py<PyType>,
    fields: Vec<Field>,
}

impl Fields {
    pub fn new(class: Py<PyType>, names: Vec<Py<PyString>>, py: Python<'_>) -> PyResult<Self> {
        let fields = names
            .into_iter()
            .map(|name| Ok(member(class.bind(py), name.bind(py))?.unwrap_or(Field::Name(name))))
            .collect::<PyResult<_>>()?;
        Ok(Self { class, fields })
    }

    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    pub const fn class(&self) -> &Py<PyType> {
        &self.class
    }

    /// Whether it is an instance of the class itself.
    #[inline]
    pub fn are_of(&self, entity: &Bound<'_, PyAny>) -> bool {
        entity.get_type_ptr().cast() == self.class.as_ptr()
    }

    /// The field of that number, of an instance of the class itself.
    #[inline]
    pub fn read<'py>(&self, entity: &Bound<'py, PyAny>, at: usize) -> PyResult<Bound<'py, PyAny>> {
        match &self.fields[at] {
            // SAFETY: the function is that of the member, which checks the instance itself. The
            // result is a new reference or null with an error set.
            Field::Member(member, get) => unsafe {
                let value = get(member.as_ptr(), entity.as_ptr(), self.class.as_ptr());
                Bound::from_owned_ptr_or_err(entity.py(), value)
            },
            Field::Name(name) => entity.getattr(name),
        }
    }
}

/// The slot of that name, where looking up the attribute would come to the same.
fn member(class: &Bound<'_, PyType>, name: &Bound<'_, PyString>) -> PyResult<Option<Field>> {
    // SAFETY: a class, initialised and alive.
    let getattro = unsafe { (*class.as_type_ptr()).tp_getattro };
    let generic: ffi::getattrofunc = ffi::PyObject_GenericGetAttr;
    if !getattro.is_some_and(|getattro| std::ptr::fn_addr_eq(getattro, generic)) {
        return Ok(None);
    }
    for ancestor in class.mro() {
        let Ok(found) = ancestor.getattr("__dict__")?.get_item(name) else { continue };
        if found.get_type_ptr() != &raw mut ffi::PyMemberDescr_Type {
            return Ok(None);
        }
        // SAFETY: a class, initialised and alive.
        let get = unsafe { ffi::PyMemberDescr_Type.tp_descr_get };
        return Ok(get.map(|get| Field::Member(found.unbind(), get)));
    }
    Ok(None)
}
