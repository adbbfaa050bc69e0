//! Passes the interpreter's build flags (`Py_GIL_DISABLED`) on to the shell as `cfg`s.

fn main() {
    #[cfg(feature = "python")]
    pyo3_build_config::use_pyo3_cfgs();
}
