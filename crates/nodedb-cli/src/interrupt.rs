//! Ctrl-C: the first asks a long command to end at the next whole step, the second ends the process.

use crate::failure::Failure;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    iterator::Signals,
};
use std::{
    io::{self, BufRead, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Exit code of a process that the second Ctrl-C ended.
const KILLED: i32 = 130;

/// Whether Ctrl-C was pressed since this was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    pressed: Arc<AtomicBool>,
}

impl Interrupt {
    /// Begins to listen. Without it Ctrl-C ends the process at once, which loses nothing that was
    /// acknowledged; so a system that refuses leaves it at that.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.pressed);
        // First, so that it sees the flag as it was before this Ctrl-C.
        let listening = flag::register_conditional_shutdown(SIGINT, KILLED, Arc::clone(&flag))
            .and_then(|_| flag::register(SIGINT, flag));
        if let Err(error) = listening {
            tracing::warn!(%error, "Ctrl-C will end the process at once");
        }
        interrupt
    }

    pub(crate) fn pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }
}

/// A signal that asks for the end: Ctrl-C, or SIGTERM.
#[derive(Debug)]
pub(crate) struct Ending {
    signals: Signals,
}

impl Ending {
    /// Begins to listen. The second signal ends the process at once, which loses nothing that was
    /// acknowledged.
    ///
    /// # Errors
    /// [`Failure::Signals`]: a server that cannot be ended in order is not begun.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // First, so that it sees the flag as it was before this signal.
            flag::register_conditional_shutdown(signal, KILLED, Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .map_err(Failure::Signals)?;
        }
        Ok(Self { signals: Signals::new([SIGINT, SIGTERM]).map_err(Failure::Signals)? })
    }

    /// Blocks until a signal came since this was made.
    pub(crate) fn wait(&mut self) {
        let signal = self.signals.forever().next();
        tracing::info!(signal, "ending");
    }
}

/// Lines that end, between two of them, once Ctrl-C was pressed.
pub(crate) struct Lines<R> {
    inner: R,
    interrupt: Interrupt,
    /// Bytes handed out and not consumed yet; never more than the rest of one line.
    handed: usize,
    /// Whether the last of them ends its line.
    ends_line: bool,
    inside_line: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) const fn new(inner: R, interrupt: Interrupt) -> Self {
        Self { inner, interrupt, handed: 0, ends_line: false, inside_line: false }
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Lines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if !self.inside_line && self.interrupt.pressed() {
            self.handed = 0;
            return Ok(&[]);
        }
        let available = self.inner.fill_buf()?;
        let line_end = available.iter().position(|byte| *byte == b'\n');
        self.ends_line = line_end.is_some();
        self.handed = line_end.map_or(available.len(), |at| at + 1);
        Ok(available.get(..self.handed).unwrap_or(available))
    }

    fn consume(&mut self, count: usize) {
        assert!(count <= self.handed, "{count} bytes consumed of {} handed out", self.handed);
        if count > 0 {
            self.handed -= count;
            self.inside_line = !(self.handed == 0 && self.ends_line);
        }
        self.inner.consume(count);
    }
}

/// A writer that fails once Ctrl-C was pressed.
pub(crate) struct Until<W> {
    inner: W,
    interrupt: Interrupt,
}

impl<W: Write> Until<W> {
    pub(crate) fn new(inner: W, interrupt: Interrupt) -> Self {
        Self { inner, interrupt }
    }

    pub(crate) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Until<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.interrupt.pressed() {
            // Not `Interrupted`, which writers repeat.
            return Err(io::Error::other("interrupted"));
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_two_and_never_inside_one() -> io::Result<()> {
        let interrupt = Interrupt::default();
        let mut lines = Lines::new(io::BufReader::with_capacity(2, &b"abcd\nef\n"[..]), interrupt);
        let mut byte = [0];
        lines.read_exact(&mut byte)?;
        lines.interrupt.pressed.store(true, Ordering::Relaxed);
        let mut rest = String::new();
        lines.read_to_string(&mut rest)?;
        assert_eq!((byte, rest.as_str()), ([b'a'], "bcd\n"));
        Ok(())
    }

    #[test]
    fn without_ctrl_c_every_byte_passes() -> io::Result<()> {
        let mut text = String::new();
        let source = &b"a\n\nlast"[..];
        Lines::new(source, Interrupt::default()).read_to_string(&mut text)?;
        assert_eq!(text, "a\n\nlast");
        Ok(())
    }

    #[test]
    fn a_writer_fails_once_ctrl_c_was_pressed() -> io::Result<()> {
        let mut writer = Until::new(Vec::new(), Interrupt::default());
        writer.write_all(b"a")?;
        writer.interrupt.pressed.store(true, Ordering::Relaxed);
        assert!(writer.write_all(b"b").is_err());
        assert_eq!(writer.into_inner(), b"a");
        Ok(())
    }
}
