//! `mix --learn`: the runs of a file, one after the other, and what comes of them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use instil::benchmark::run::{Settings, ask};
use instil::benchmark::{Benchmark, Wrap, data};
use instil::lm::LanguageModel;
use instil::mix::learn::answers::{self, Answered};
use instil::mix::learn::evidence::{Evidence, LEARNED};
use instil::mix::learn::study::{self, Asked, Ready, Study, TuningRun};
use instil::mix::learn::{Learn, Mode, Task, plot, report};
use instil::recipe::Mix;
use instil::record::Row;
use instil::reject::Reject;
use instil::run::CookPlan;
use instil::{Error, Result, source};
use instil_model::weights::{Checkpoint, Options};
use serde_json::json;

use crate::args::{HowOfAll, ModelArgs, TrainHow};
use crate::progress::{Progress, catch_interrupts};
use crate::tables::plural;
use crate::{exit, output, settings};

/// What a stage gives: its result, or none if Ctrl-C came, or a code of a step that isn't done.
type Got<T> = Result<std::result::Result<T, u8>>;

/// Gives up with the code of a step that isn't done.
macro_rules! done {
    ($got:expr) => {
        match $got? {
            Ok(got) => got,
            Err(code) => return Ok(Err(code)),
        }
    };
}

pub(crate) fn run(file: &Path, output: Option<String>, how: &HowOfAll) -> Result<u8> {
    let mut learn = Learn::read(file)?;
    if let Some(output) = output {
        learn.output = output;
    }
    if learn.output.is_empty() {
        return Err(Error::usage("no output is named").with_hint("add `-o DIR`, or `output` to the file"));
    }
    if let Some(threads) = how.threads {
        learn.train.threads = threads;
    }
    catch_interrupts()?;
    let mut tasks = learn.task.iter().map(Topic::of).collect::<Result<Vec<_>>>()?;
    if learn.mode == Mode::LabelFree {
        tasks.iter().try_for_each(|topic| answers::has_votes(&topic.benchmark))?;
    }
    study::check_names(&tasks.iter().map(|topic| topic.asked.clone()).collect::<Vec<_>>())?;
    if how.dry_run {
        return Ok(show(&learn, &tasks, how.json));
    }
    let runner = Runner { learn: &learn, how, started: std::time::Instant::now() };
    match runner.whole(&mut tasks)? {
        Ok(evidence) => {
            if how.json {
                output::data(&serde_json::to_string(&evidence).expect("evidence is plain values"));
            } else {
                output::data(&report::page(&learn, &evidence, false, &super::compare::note()));
            }
            if !how.quiet {
                runner.say(&format!(
                    "the mix is in `{}`, the evidence in `{}`",
                    runner.inside("mix"),
                    learn.page_folder().display()
                ));
            }
            Ok(exit::DONE)
        }
        Err(code) => {
            if code == exit::INTERRUPTED {
                output::talk("interrupted; the same command goes on, and repeats no run that is there");
            }
            Ok(code)
        }
    }
}

/// Prints what a file would run.
pub(crate) fn look(file: &Path, as_json: bool) -> Result<u8> {
    let learn = Learn::read(file)?;
    let tasks = learn.task.iter().map(Topic::of).collect::<Result<Vec<_>>>()?;
    Ok(show(&learn, &tasks, as_json))
}

/// Prints what would be run.
fn show(learn: &Learn, tasks: &[Topic<'_>], as_json: bool) -> u8 {
    if as_json {
        output::data(&json!({"recipe": learn}).to_string());
        return exit::DONE;
    }
    let sources: Vec<&str> = learn.source.iter().map(|source| source.name.as_str()).collect();
    output::data(&format!(
        "tunes `{}` on {} rows of each of {}: {}",
        learn.base,
        HumanCount(learn.tuning_rows),
        plural(sources.len(), "source"),
        sources.join(", ")
    ));
    if learn.mode == Mode::Law {
        let runs = if learn.law_runs == 0 { sources.len() + 1 } else { learn.law_runs };
        output::data(&format!("and on {runs} mixes of them"));
    }
    for topic in tasks {
        let task = topic.task;
        output::data(&format!(
            "asks all about {} rows of `{}`{}",
            HumanCount(topic.rows()),
            topic.benchmark.name,
            if task.test_items > 0 {
                format!(", {} of them to compare mixes on", task.test_items)
            } else {
                String::new()
            }
        ));
    }
    output::data(&format!("learns proportions in the mode `{}`", learn.mode.name()));
    output::data(&format!("draws {} rows in `{}/mix`", HumanCount(learn.rows), learn.output));
    if !learn.compare.is_empty() {
        let seeds = plural(learn.compare.len(), "seed");
        output::data(&format!("compares the mix with up to four others, each tuned on under {seeds}"));
    }
    output::data("runs that are there already are not repeated");
    exit::DONE
}

/// A task with its benchmark.
struct Topic<'a> {
    task: &'a Task,
    benchmark: Benchmark,
    asked: Asked,
}

impl<'a> Topic<'a> {
    fn of(task: &'a Task) -> Result<Self> {
        let benchmark = Benchmark::find(&task.benchmark)?;
        let files = data::open(&benchmark, &task.data, &super::eval::snapshot)?.files;
        let asked = Asked::of(task, &benchmark, &files)?;
        Ok(Self { task, benchmark, asked })
    }

    fn settings(&self) -> Result<Settings> {
        let wrap = self.task.wrap.as_deref().map(Wrap::parse).transpose()?;
        Ok(Settings {
            wrap: wrap.unwrap_or_else(|| self.benchmark.wrap.clone()),
            together: false,
            in_words: false,
            constrain: false,
            limit: u64::MAX,
        })
    }

    /// How many rows are asked about: those to learn on, then those to test on.
    fn rows(&self) -> u64 {
        self.task.items + self.task.test_items
    }

    /// The answers about rows to learn on, and those about rows to test on.
    fn parted(&self, answers: Vec<Answered>) -> (Vec<Answered>, Vec<Answered>) {
        let prompts = self.benchmark.prompts().count();
        let mut answers = answers;
        let at = (self.task.items as usize * prompts).min(answers.len());
        let test = answers.split_off(at);
        (answers, test)
    }
}

struct Runner<'a> {
    learn: &'a Learn,
    how: &'a HowOfAll,
    started: std::time::Instant,
}

/// Answers to all tasks: to learn on, and to test on.
type Answers = (Vec<Vec<Answered>>, Vec<Vec<Answered>>);

impl Runner<'_> {
    fn whole(&self, tasks: &mut [Topic<'_>]) -> Got<Evidence> {
        let tasks = &*tasks;
        let learn = self.learn;
        let base = Checkpoint::open_with(Path::new(&learn.base), &Options::default())?.fingerprint()?;
        let mut sources = Vec::with_capacity(learn.source.len());
        for source in &learn.source {
            sources.push(done!(self.source(source)));
        }
        let study = Study::new(learn, sources, base);
        self.say("the base is asked");
        let (base, base_test) =
            done!(self.answers(tasks, &|asked| study.base_asked(asked), &|| Ok(self.model(None))));
        let mut singles = Vec::new();
        for (source, name) in study.names().into_iter().enumerate() {
            singles.push(done!(self.tuned(&study.single(source), tasks, &format!("tuned on {name}"))).0);
        }
        let mut runs = Vec::new();
        if learn.mode == Mode::Law {
            for (number, shares) in study.designs().into_iter().enumerate() {
                let run = study.run(&shares, learn.tuning_rows, learn.seed);
                let answers = done!(self.tuned(&run, tasks, &format!("tuned on mix {}", number + 1))).0;
                runs.push((shares, answers));
            }
        }
        let names: Vec<String> = tasks.iter().map(|topic| topic.benchmark.name.clone()).collect();
        let mut evidence = Evidence::of(learn, &names, &base, &singles, &runs)?;
        let shares = evidence.mixes[0].shares.clone();
        let mix = Mix { output: self.inside("mix"), ..study.mix(&shares, learn.rows, learn.seed) };
        // Sources and settings may have changed, and the mix follows from them: what is there is made anew.
        done!(self.step(super::mix::execute(mix, &HowOfAll { overwrite: true, ..self.quiet() })));
        if !learn.compare.is_empty() && evidence.measured.is_some() {
            let mixes = evidence.mixes.clone();
            let mut all = Vec::with_capacity(mixes.len());
            for mix in &mixes {
                let mut seeds = Vec::with_capacity(learn.compare.len());
                for seed in &learn.compare {
                    let run = study.run(&mix.shares, learn.rows, *seed);
                    let label = format!("tuned on the {} mix, seed {seed}", mix.name);
                    seeds.push((*seed, done!(self.tuned(&run, tasks, &label)).1));
                }
                evidence.compare(&mix.name, &seeds)?;
                all.push((mix.name.clone(), seeds));
            }
            evidence.beside(&base_test, &all, learn.seed)?;
        }
        self.write(&evidence)?;
        debug_assert_eq!(evidence.mixes[0].name, LEARNED);
        Ok(Ok(evidence))
    }

    /// The rows of a source, cooked if they have to be.
    fn source(&self, source: &instil::mix::learn::Source) -> Got<Ready> {
        let Some(cook) = &source.cook else {
            let files = source::resolve_rows(std::slice::from_ref(&source.input))?;
            return Ok(Ok(study::given(&source.name, &source.input, &files)));
        };
        let plan = CookPlan::of(&instil::recipe::Cook { output: self.inside("rows"), ..cook.clone() })?;
        let (cook, ready) = study::cooking(self.learn, source, &plan.inputs).expect("the source is cooked");
        done!(self.step(super::cook::execute(cook, &self.quiet())));
        Ok(Ok(ready))
    }

    /// Draws the rows of a run, tunes the base on them, and asks the result; what is there already is left alone.
    fn tuned(&self, run: &TuningRun, tasks: &[Topic<'_>], label: &str) -> Got<Answers> {
        self.say(label);
        self.answers(tasks, &|asked| run.asked(asked), &|| {
            let code = super::mix::execute(run.mix.clone(), &self.quiet())?;
            if code > exit::LIMIT_MISSED {
                return Ok(Err(code));
            }
            let how = TrainHow { quiet: true, threads: self.how.threads, ..TrainHow::default() };
            let code = super::train::execute(run.train.clone(), &how)?;
            if code > exit::LIMIT_MISSED {
                return Ok(Err(code));
            }
            Ok(self.model(Some(run)))
        })
    }

    /// What a model answers about all tasks. It is made only where an answer isn't there yet.
    fn answers(
        &self,
        tasks: &[Topic<'_>],
        file: &dyn Fn(&Asked) -> PathBuf,
        model: &dyn Fn() -> Got<ModelArgs>,
    ) -> Got<Answers> {
        let mut loaded: Option<Box<dyn LanguageModel>> = None;
        let mut found: Answers = (Vec::new(), Vec::new());
        for topic in tasks {
            let path = file(&topic.asked);
            let answers = match answers::read(&path)? {
                Some(answers) => answers,
                None => {
                    let mut progress = Progress::start(self.how.quiet);
                    let model = match &loaded {
                        Some(model) => model,
                        None => {
                            let args = done!(model());
                            match settings::measured(&args, false, &mut progress)? {
                                Some(model) => loaded.insert(model),
                                None => return Ok(Err(exit::INTERRUPTED)),
                            }
                        }
                    };
                    let answers = done!(asked(topic, model.as_ref(), &mut progress));
                    progress.finish();
                    if let Some(folder) = path.parent() {
                        std::fs::create_dir_all(folder).map_err(|e| {
                            Error::output(format!("failed to write `{}`", folder.display())).because(e)
                        })?;
                    }
                    answers::write(&path, &answers)?;
                    answers
                }
            };
            let (learnt, test) = topic.parted(answers);
            found.0.push(learnt);
            found.1.push(test);
        }
        Ok(Ok(found))
    }

    /// The base, or the model of a run.
    #[allow(clippy::unnecessary_wraps, reason = "it stands where a run may end with a code")]
    fn model(&self, run: Option<&TuningRun>) -> std::result::Result<ModelArgs, u8> {
        let base = Some(self.learn.base.clone());
        let args = match run {
            None => ModelArgs { model: base, ..ModelArgs::default() },
            Some(run) if run.train.method == "full" => {
                ModelArgs { model: Some(run.train.output.clone()), ..ModelArgs::default() }
            }
            Some(run) => {
                ModelArgs { model: base, adapter: Some(run.train.output.clone()), ..ModelArgs::default() }
            }
        };
        let threads = (self.learn.train.threads > 0).then_some(self.learn.train.threads);
        Ok(ModelArgs { threads, quantize: Some("none".to_owned()), ..args })
    }

    fn write(&self, evidence: &Evidence) -> Result<()> {
        let plot = plot::svg(evidence);
        let page = report::page(self.learn, evidence, plot.is_some(), &super::compare::note());
        let text = serde_json::to_string_pretty(&json!({"recipe": self.learn, "evidence": evidence}))
            .expect("evidence is plain values");
        let files = [("evidence.json", Some(text)), ("plot.svg", plot), ("README.md", Some(page))];
        let folder = self.learn.page_folder();
        let failed = |path: &Path| Error::output(format!("failed to write `{}`", path.display()));
        std::fs::create_dir_all(folder).map_err(|e| failed(folder).because(e))?;
        for (name, text) in files {
            if let Some(text) = text {
                let path = folder.join(name);
                std::fs::write(&path, text).map_err(|e| failed(&path).because(e))?;
            }
        }
        Ok(())
    }

    /// The result of a step of another verb.
    fn step(&self, code: Result<u8>) -> Got<()> {
        let code = code?;
        Ok(if code > exit::LIMIT_MISSED { Err(code) } else { Ok(()) })
    }

    fn inside(&self, name: &str) -> String {
        Path::new(&self.learn.output).join(name).to_string_lossy().into_owned()
    }

    fn quiet(&self) -> HowOfAll {
        HowOfAll { quiet: true, threads: self.how.threads, ..HowOfAll::default() }
    }

    fn say(&self, what: &str) {
        if !self.how.quiet {
            output::talk(&format!("{what} ({:.0} s)", self.started.elapsed().as_secs_f64()));
        }
    }
}

/// Asks a model about a task.
fn asked(topic: &Topic<'_>, model: &dyn LanguageModel, progress: &mut Progress) -> Got<Vec<Answered>> {
    let rows = data::open(&topic.benchmark, &topic.task.data, &super::eval::snapshot)?;
    let most = topic.rows();
    let settings = Settings { limit: most, ..topic.settings()? };
    let rows: Box<dyn Iterator<Item = std::result::Result<Row, Reject>>> = Box::new(rows);
    let mut found = Vec::new();
    let (account, whole) = ask(
        &topic.benchmark,
        &settings,
        rows,
        model,
        None,
        &mut |answer| {
            found.push(Answered::of(&topic.benchmark, &answer));
            Ok(())
        },
        &mut |account| -> ControlFlow<()> { progress.watch_items(&topic.benchmark.name, account.items) },
    )?;
    if !whole {
        return Ok(Err(exit::INTERRUPTED));
    }
    if account.items < most {
        return Err(Error::input(format!(
            "the task `{}` has {} rows that can be asked about, and {most} are wanted",
            topic.benchmark.name, account.items
        ))
        .with_hint("lower `items` or `test_items`"));
    }
    Ok(Ok(found))
}
