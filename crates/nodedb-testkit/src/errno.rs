//! The errors of Linux, by number, so that their kinds are the ones the product sees in earnest.

use std::io;

pub(crate) const NOT_FOUND: i32 = 2;
pub(crate) const INPUT_OUTPUT: i32 = 5;
pub(crate) const BAD_DESCRIPTOR: i32 = 9;
pub(crate) const WOULD_BLOCK: i32 = 11;
pub(crate) const EXISTS: i32 = 17;
pub(crate) const NOT_A_DIRECTORY: i32 = 20;
pub(crate) const IS_A_DIRECTORY: i32 = 21;
pub(crate) const INVALID: i32 = 22;
pub(crate) const FILE_TOO_BIG: i32 = 27;
pub(crate) const NO_SPACE: i32 = 28;
pub(crate) const NOT_EMPTY: i32 = 39;

pub(crate) fn fail<T>(number: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(number))
}
