//! `serve`.

use crate::{
    answer::Answer, args::ServeArgs, context::Context, failure::Failure, interrupt::Ending,
};
use nodedb_server::{ServeOptions, Server};
use serde::Serialize;
use std::{
    io::{self, Write},
    time::Duration,
};

#[derive(Serialize)]
struct Listening {
    listening: String,
}

/// Serves until a signal asks for the end. The caller closes the database, when nobody uses it any more.
pub(super) fn run(args: &ServeArgs, context: &mut Context) -> Result<Answer, Failure> {
    let options = options(args, context)?;
    // What cannot be served must not wait for a recovery to be told so.
    options.validate()?;
    let database = context.database()?.clone();
    // Before anybody learns that the server is there, and may end it.
    let mut ending = Ending::listen()?;
    let server = Server::start(database, options)?;
    let listening = server.address().to_string();
    let text = format!("listening on http://{listening}");
    let told = tell(&Answer::new(&Listening { listening }, text)?, context);
    if told.is_ok() {
        ending.wait();
    }
    server.stop();
    told.map(|()| Answer::already_printed())
}

fn options(args: &ServeArgs, context: &Context) -> Result<ServeOptions, Failure> {
    let token = args.token_file.as_deref().map(|path| {
        let text = String::from_utf8(context.read(path)?)
            .map_err(|error| Failure::input("the token", error))?;
        Ok::<_, Failure>(text.trim_ascii_end().to_owned())
    });
    Ok(ServeOptions {
        listen: args.listen,
        token: token.transpose()?,
        tls_terminated: args.tls_terminated,
        body_bytes_max: args.body_bytes_max,
        request_limit: Duration::from_millis(args.request_limit_ms),
        ..ServeOptions::default()
    })
}

/// At once, since the command goes on.
fn tell(answer: &Answer, context: &Context) -> Result<(), Failure> {
    let document = answer.json_document();
    let bytes = if context.globals.json { document.as_bytes() } else { answer.text() };
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Output)
}
