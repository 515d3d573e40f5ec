# SPDX-License-Identifier: Apache-2.0
"""The command line of kesfs: what is refused is refused in one sentence with status 2, before anything is done; and
--help, the manual and the completions know the same options."""
import pathlib
import re
import shutil

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def kesfs(programs):
    return lambda *arguments, **how: programs.run(programs.kesfs, *arguments, **how)


def sentence(result, status=2):
    """The one line that a refused command line says."""
    result.expect(status)
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("kesfs: "), result
    assert result.out == ""
    return lines[0].removeprefix("kesfs: ")


REFUSED = {
    "foo": "unknown mount option 'foo': kesfs --help lists them all",
    "overwite": "unknown mount option 'overwite': did you mean 'overwrite'?",
    "alow_other": "unknown mount option 'alow_other': did you mean 'allow_other'?",
    "ttl": "the option 'ttl' needs a value: ttl=SECONDS",
    "ttl=": "the option 'ttl' needs a value: ttl=SECONDS",
    "ttl=-1": "the option 'ttl' is a number from 0 to 31536000, not '-1'",
    "ttl=1e3": "the option 'ttl' is a number from 0 to 31536000, not '1e3'",
    "ttl=nan": "the option 'ttl' is a number from 0 to 31536000, not 'nan'",
    "timeout=0": "the option 'timeout' is a number from 0.001 to 86400, not '0'",
    "timeout=5s": "the option 'timeout' is a number from 0.001 to 86400, not '5s'",
    "requests=0": "the option 'requests' is a whole number from 1 to 4096, not '0'",
    "requests=1.5": "the option 'requests' is a whole number from 1 to 4096, not '1.5'",
    "uid=root": "the option 'uid' is a whole number from 0 to 4294967294, not 'root'",
    "uid=4294967295": "the option 'uid' is a whole number from 0 to 4294967294, not '4294967295'",
    "umask=88": "the option 'umask' is an octal number from 0 to 777, not '88'",
    "umask=1000": "the option 'umask' is an octal number from 0 to 777, not '1000'",
    "size=big": "the option 'size' is either open or exact, not 'big'",
    "overwrite=yes": "the option 'overwrite' takes no value",
    "ro,overwrite": "'ro' and 'overwrite' contradict each other: leave one out",
    "delete,ro": "'ro' and 'delete' contradict each other: leave one out",
    "ro,raw": "'ro' and 'raw' contradict each other: leave one out",
    "allow_other,allow_root": "'allow_other' and 'allow_root' contradict each other: leave one out",
    "remount": "the option 'remount' is refused: options cannot change under a live mount; unmount it and mount it again",
    "kernel_cache": "the option 'kernel_cache' is refused: values would stay in the page cache",
    "ro=other": "ro=other names one of several stores, but there is only one: write ro",
}


@pytest.mark.parametrize("option", REFUSED)
def test_a_mistaken_option_is_one_sentence_and_status_2(kesfs, store, tmp, option):
    assert sentence(kesfs(store().config, tmp / "mnt", "-o", option)) == REFUSED[option]


def test_an_unknown_debug_area_names_those_that_exist(kesfs, store, tmp):
    for option in ("debug=x", "debug=http,x"):
        said = sentence(kesfs("-o", option, store(option).config, tmp / "mnt"))
        assert "'x'" in said
    assert sentence(kesfs("-o", "debug=nonsense", "a.yml", tmp)).endswith(", and all")


def test_a_malformed_pattern_is_refused_whatever_it_would_match(kesfs, store, tmp):
    for option in ("include=[a", "exclude=a[z", "include=x\\", "include=[]"):
        said = sentence(kesfs(store(option.replace("/", "")).config, tmp / "mnt", "-o", option))
        assert said.startswith(f"the option '{option.split('=')[0]}'"), said


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(kesfs, planted, store, tmp):
    planted.plant("correct-horse")
    for i, option in enumerate(("token=correct-horse", "password=correct-horse", "secret_id=correct-horse")):
        sentence(kesfs(store(str(i)).config, tmp / "mnt", "-o", option))


@pytest.mark.parametrize("words, said", [
    ([], "a configuration file is missing: kesfs CONFIG MOUNTPOINT (kesfs --help says more)"),
    (["a.yml"], "after 'a.yml' a mount point is missing: kesfs CONFIG MOUNTPOINT"),
    (["a.yml", ""], "the mount point is an empty word: kesfs CONFIG MOUNTPOINT"),
    (["", "mnt"], "'' names no configuration file: write [NAME=]CONFIG"),
    (["--probe"], "a configuration file is missing: kesfs --probe CONFIG (kesfs --help says more)"),
    (["x/a.yml", "y/a.yaml", "mnt"], "two stores would be called 'a': give one another name, such as a2=y/a.yaml"),
    (["n=a.yml", "n=b.yml", "mnt"], "two stores would be called 'n': give one another name, such as n2=b.yml"),
    (["x/", "y/..", "mnt"], "y/.. gives no name for a directory: write NAME=y/.."),
    (["-x", "a.yml", "mnt"], "unknown option '-x': kesfs --help lists them all"),
    (["--nonsense=5", "a.yml", "mnt"], "unknown option '--nonsense': kesfs --help lists them all"),
    (["--ttl=5", "a.yml", "mnt"], "unknown option '--ttl': mount options follow -o, as in -o ttl"),
    (["a.yml", "mnt", "-o"], "the option '-o' needs a value: -o OPTION[,OPTION...]"),
    (["a.yml", "b.yml", "mnt", "-o", "ro=c"], "ro=c: there is no store of that name, only a, b"),
])
def test_mistaken_words_are_one_sentence_and_status_2(kesfs, tmp, words, said):
    assert sentence(kesfs(*words, cwd=tmp)) == said


def test_a_name_that_cannot_be_a_directory_is_refused(kesfs, tmp):
    for word in ("=a.yml", ".x=a.yml", "a\nb=a.yml", "n" * 256 + "=a.yml"):
        assert "cannot be the name of a directory" in sentence(kesfs(word, tmp))


def test_help_and_version_go_to_standard_output_with_status_0(kesfs):
    for option in ("-h", "--help", "-V", "--version"):
        result = kesfs(option).expect(0)
        assert result.err == "" and result.out
    assert kesfs("--version").out.startswith("kesfs ")
    help_ = kesfs("--help").out
    assert max(map(len, help_.splitlines())) <= 80
    assert re.search(r"^Stores:\n  fs +\S", help_, re.M)


# --- the same names everywhere ---------------------------------------------------------------------------------------

def options_in_help(help_):
    """({mount options}, {those without effect}, {letters and words})"""
    first, _, rest = help_.partition("\nWhat may change:\n")
    active, _, rest = rest.partition("\nTaken from mount(8) and fstab, without effect:\n")
    quiet = rest.partition("\nStores:\n")[0]
    return (set(re.findall(r"^  (\w+)", active, re.M)) - {"SIGHUP"}, set(quiet.split()),
            set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z]*", " ".join(re.findall(r"^ +(-.*?)  ", first, re.M)))))


def test_help_and_the_manual_have_the_same_options(kesfs):
    active, quiet, words = options_in_help(kesfs("--help").out)
    manual = (TOP / "docs/man/kesfs.1").read_text()
    body = manual.partition(".Sh MOUNT OPTIONS")[2].partition(".Sh BEHAVIOUR")[0]
    tagged = set()
    for line in re.findall(r"^\.It Cm (.*)", body, re.M):
        tagged |= set(re.findall(r"(?:^|, Cm )(\w+)", line))
    assert tagged == active
    accepted = body.partition(".Ss Taken from mount(8) and fstab")[2].partition(".Cm remount")[0]
    listed = set()
    for line in re.findall(r"^\.Cm (.*)", accepted, re.M):
        listed |= {word for word in line.split() if word not in (",", ".")}
    assert {name.rstrip("*") for name in quiet} == listed
    synopsis = manual.partition(".Sh OPTIONS")[2].partition(".Sh MOUNT OPTIONS")[0]
    flags = set()
    for line in re.findall(r"^\.It Fl (.*)", synopsis, re.M):
        flags |= {"-" + word for word in re.findall(r"(?:^|, )(-?[A-Za-z]\w*)", line.partition(" Ar ")[0])}
    assert flags == words


def words_of_completion(name):
    return (TOP / "contrib/completions" / name).read_text()


def test_the_completions_have_the_options_of_help(kesfs):
    active, _, words = options_in_help(kesfs("--help").out)
    bash = words_of_completion("kesfs.bash")
    offered = re.search(r"\$option\" (ro rw .*?) ;;", bash, re.S).group(1).replace("\\\n", " ").split()
    assert {word.rstrip("=") for word in offered} == active
    assert set(re.search(r"'' \"\$word\" (-o .*)", bash).group(1).split()) == words
    zsh = words_of_completion("_kesfs").partition("mount_options=(")[2].partition(")\n")
    assert set(re.findall(r"^\t'(\w+)\[", words_of_completion("_kesfs"), re.M)) == active, zsh
    fish = words_of_completion("kesfs.fish").partition("-l values ")[2].partition("    for value")[0]
    offered = re.findall(r"(?:^ +|^)(\w+)=?\w*\\t|(debug)=\w+", fish, re.M)
    assert {a or b for a, b in offered} == active


def test_the_completions_of_kesfs_migrate_have_the_options_of_its_help(migrate):
    help_ = migrate("--help").expect(0).out
    wanted = set()
    for line in re.findall(r"^ +(-.*?)(?:  |$)", help_, re.M):
        wanted |= set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", line))
    bash = words_of_completion("kesfs-migrate.bash")
    assert set(re.search(r"options='(.*?)'", bash, re.S).group(1).split()) == wanted
    zsh = words_of_completion("_kesfs-migrate")
    offered = set(re.findall(r"(--[a-z-]+?)(?:=-)?\[", zsh))
    for pair in re.findall(r"\{(.*?)\}", zsh):
        offered |= set(pair.split(","))
    assert offered == wanted
    fish = words_of_completion("kesfs-migrate.fish")
    assert ({f"-{letter}" for letter in re.findall(r" -s (\w)", fish)} |
            {f"--{word}" for word in re.findall(r" -l ([a-z-]+)", fish)}) == wanted


@pytest.mark.parametrize("shell, file", [
    (shell, file) for program in ("kesfs", "kesfs-migrate")
    for shell, file in (("bash", f"{program}.bash"), ("zsh", f"_{program}"), ("fish", f"{program}.fish"))])
def test_the_completions_are_understood_by_their_shell(programs, shell, file):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    programs.run(shell, "-n", TOP / "contrib/completions" / file).expect(0)


def test_bash_completes_behind_commas_and_equal_signs(programs):
    script = """source "$1"; compopt() { :; }
        for COMP_LINE in "kesfs -o ro,siz" "kesfs -o ttl=5,del" "kesfs a b -o ro,size=e" "kesfs --pro"; do
            COMP_POINT=${#COMP_LINE}; _kesfs; echo "${COMPREPLY[*]}"
        done"""
    result = programs.run("bash", "-c", script, "bash", TOP / "contrib/completions/kesfs.bash").expect(0)
    assert result.lines == ["ro,size=", "5,delete", "exact", "--probe"]


@pytest.mark.parametrize("page", sorted((TOP / "docs/man").glob("*.[1-9]")), ids=lambda page: page.name)
def test_the_manual_pages_are_clean(programs, page):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    assert programs.run("mandoc", "-T", "lint", "-W", "warning", page).expect(0).out == ""
