//! What the browser receives: the page at `/`, the shipped models at `/models/`, and headers.
//!
//! Only this machine is served (127.0.0.1). Browsers count that address as a secure context, which
//! WebGPU asks for. Every answer must be revalidated, so a rebuilt page is seen at once, and carries
//! the policy a public host should send too: the page needs nothing from anywhere else.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::runtime::{Builder, Runtime};
use tower_http::services::ServeDir;
use tower_http::services::fs::ServeFileSystemResponseBody as Body;
use tower_service::Service as _;

use crate::project::Project;

/// Where the shipped models appear.
const MODELS: &str = "/models";

/// Sent with every answer. The policy allows the page's own scripts, worker, styles and files and
/// nothing else; `wasm-unsafe-eval` is what compiling WebAssembly is called; `blob:` and `data:` are
/// pictures the page itself makes.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (hyper::header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (
        hyper::header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; \
             style-src 'self'; img-src 'self' blob: data:; font-src 'self'; manifest-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
        ),
    ),
    (hyper::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (hyper::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// The folders that are served.
#[derive(Debug, Clone)]
pub struct Site {
    /// At `/`.
    pub page: PathBuf,
    /// At `/models/`.
    pub models: PathBuf,
}

impl Site {
    /// The built page and the shipped models.
    pub fn of(project: &Project) -> Self {
        Self { page: project.page(), models: project.models() }
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let mut folder = if let Some(rest) = below_models(request.uri()) {
            *request.uri_mut() = rest;
            ServeDir::new(&self.models).redirect_path_prefix(MODELS)
        } else {
            ServeDir::new(&self.page).precompressed_br().precompressed_gzip()
        };
        // Never fails: what is missing is a 404, what cannot be read a 500.
        let mut response = folder.call(request).await?;
        response.headers_mut().extend(HEADERS);
        Ok(response)
    }
}

/// `/models/x` gives `/x`, its place in the models' own folder; anything else gives nothing.
fn below_models(uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(MODELS)?;
    rest.starts_with('/').then(|| rest.parse().ok())?
}

/// Takes the port on this machine's loopback address; 0 takes a free one.
///
/// # Errors
/// If it is taken already, with what to do about it.
pub fn listen(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "port {port} of 127.0.0.1 is in use by another program; stop that, or choose another port: cargo xtask demo --port {}",
            port.checked_add(1).unwrap_or(8081)
        ),
        ErrorKind::PermissionDenied => anyhow!("port {port} may not be used by this user; choose one above 1023 with --port"),
        _ => anyhow!("port {port} of 127.0.0.1 could not be taken: {error}"),
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until Ctrl-C.
///
/// # Errors
/// If the server cannot be started.
pub fn until_interrupted(listener: TcpListener, site: &Site, open: bool) -> Result<()> {
    if !holds_a_model(site) {
        println!("There is no model in {} yet: the page will say so.", site.models.display());
    }
    let server = start(listener, site)?;
    println!("The page is at {}/ (Ctrl-C ends it)", server.origin);
    if open && let Err(error) = open::that_detached(format!("{}/", server.origin)) {
        println!("No browser could be opened ({error}): please open the address by hand.");
    }
    server.runtime.block_on(tokio::signal::ctrl_c()).context("cannot wait for Ctrl-C")
}

/// Whether any folder of the models is one.
fn holds_a_model(site: &Site) -> bool {
    let folders = std::fs::read_dir(&site.models).into_iter().flatten().flatten();
    folders.into_iter().any(|folder| folder.path().join("manifest.json").is_file())
}

/// A server that runs beside the rest of the program and ends when dropped.
#[derive(Debug)]
pub struct Server {
    origin: String,
    runtime: Runtime,
}

impl Server {
    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// Serves on a free port, for tests.
///
/// # Errors
/// If there is none or the server cannot be started.
pub fn in_background(site: &Site) -> Result<Server> {
    start(listen(0)?, site)
}

fn start(listener: TcpListener, site: &Site) -> Result<Server> {
    let origin = format!("http://{}", listener.local_addr()?);
    // One thread answers; files are read by the runtime's own helpers.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let site = site.clone();
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    runtime.spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(converse(stream, site.clone()))),
                // Out of file handles, most likely: that passes.
                Err(error) => {
                    println!("a connection could not be accepted: {error}");
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    Ok(Server { origin, runtime })
}

/// Answers the requests of one connection.
async fn converse(stream: tokio::net::TcpStream, site: Site) {
    let answer = service_fn(|request| site.answer(request));
    // An error here is the browser breaking off, as it does when a page is left; nothing to report.
    let _broken_off = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    struct Bench {
        _folder: tempfile::TempDir,
        server: Server,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("temporary folder");
            let site = Site { page: folder.path().join("page"), models: folder.path().join("models") };
            fs::create_dir_all(site.page.join("assets")).expect("page");
            fs::create_dir_all(site.models.join("toon")).expect("models");
            for (name, text) in [
                ("page/index.html", "<h1>page</h1>"),
                ("page/assets/worker.js", "export {}"),
                ("page/assets/engine.wasm", "\0asm"),
                ("page/assets/engine.wasm.br", "small"),
                ("models/toon/manifest.json", "{}"),
                ("models/toon/model.safetensors", "weights"),
                ("secret.txt", "secret"),
            ] {
                fs::write(folder.path().join(name), text).expect("file");
            }
            let server = in_background(&site).expect("server");
            Self { _folder: folder, server }
        }

        /// One request, as bytes on the wire: a client library would tidy the path first.
        fn ask(&self, request: &str, headers: &str) -> String {
            let address = self.server.origin().strip_prefix("http://").expect("an origin");
            let mut stream = TcpStream::connect(address).expect("connects");
            write!(stream, "{request} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n").expect("asks");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("answers");
            answer
        }

        fn get(&self, path: &str) -> String {
            self.ask(&format!("GET {path}"), "")
        }
    }

    fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
        let head = answer.split("\r\n\r\n").next()?;
        head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    #[test]
    fn the_page_is_at_the_root() {
        let answer = Bench::new().get("/");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("<h1>page</h1>"), "{answer}");
        assert_eq!(header(&answer, "content-type"), Some("text/html"));
    }

    #[test]
    fn every_file_has_the_type_browsers_insist_on() {
        let bench = Bench::new();
        for (path, kind) in [
            ("/assets/worker.js", "text/javascript"),
            ("/assets/engine.wasm", "application/wasm"),
            ("/models/toon/manifest.json", "application/json"),
            ("/models/toon/model.safetensors", "application/octet-stream"),
        ] {
            let answer = bench.get(path);
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            assert_eq!(header(&answer, "content-type"), Some(kind), "{path}");
        }
    }

    #[test]
    fn every_answer_carries_the_policy_and_is_revalidated() {
        let bench = Bench::new();
        for path in ["/", "/assets/worker.js", "/models/toon/manifest.json", "/nothing-here"] {
            let answer = bench.get(path);
            let policy = header(&answer, "content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
            assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
            assert_eq!(header(&answer, "cache-control"), Some("no-cache"));
            assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
        }
    }

    #[test]
    fn browsers_that_take_brotli_get_the_small_copy_with_the_type_of_the_large_one() {
        let answer = Bench::new().ask("GET /assets/engine.wasm", "Accept-Encoding: gzip, br\r\n");
        assert!(answer.ends_with("small"), "{answer}");
        assert_eq!(header(&answer, "content-encoding"), Some("br"));
        assert_eq!(header(&answer, "content-type"), Some("application/wasm"));
    }

    #[test]
    fn what_is_not_there_is_404() {
        let bench = Bench::new();
        for path in ["/nothing-here", "/models/other/manifest.json", "/models", "/modelsX/toon/manifest.json"] {
            assert!(bench.get(path).starts_with("HTTP/1.1 404"), "{path}");
        }
    }

    #[test]
    fn nothing_outside_the_two_folders_can_be_had() {
        let bench = Bench::new();
        for path in ["/../secret.txt", "/models/../../secret.txt", "/%2e%2e/secret.txt", "/models/..%2fsecret.txt"] {
            let answer = bench.get(path);
            assert!(!answer.contains("secret"), "{path}: {answer}");
        }
    }

    #[test]
    fn only_reading_is_allowed() {
        assert!(Bench::new().ask("POST /", "Content-Length: 0\r\n").starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn a_part_of_the_weights_can_be_asked_for() {
        let answer = Bench::new().ask("GET /models/toon/model.safetensors", "Range: bytes=2-4\r\n");
        assert!(answer.starts_with("HTTP/1.1 206") && answer.ends_with("\r\n\r\nigh"), "{answer}");
    }

    #[test]
    fn a_port_in_use_is_said_in_one_sentence_with_a_way_out() {
        let first = listen(0).expect("a free port");
        let port = first.local_addr().expect("bound").port();
        let message = listen(port).expect_err("taken").to_string();
        assert!(message.starts_with(&format!("port {port} of 127.0.0.1 is in use")), "{message}");
        assert!(message.contains("--port"), "{message}");
    }

    #[test]
    fn only_this_machine_is_served() {
        assert!(listen(0).expect("a free port").local_addr().expect("bound").ip().is_loopback());
    }
}
