//! The randomness port.

use std::{fmt::Debug, io};

/// Random bytes, for ids and seeds.
pub trait Random: Send + Sync + Debug {
    /// Fills the buffer.
    ///
    /// # Errors
    /// What the system reports.
    fn fill(&self, buffer: &mut [u8]) -> io::Result<()>;

    /// 16 random bytes.
    ///
    /// # Errors
    /// As [`Random::fill`].
    fn id(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A random number.
    ///
    /// # Errors
    /// As [`Random::fill`].
    fn u32(&self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

/// The kernel's generator.
#[derive(Clone, Copy, Debug)]
pub struct RealRandom;

impl Random for RealRandom {
    fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
