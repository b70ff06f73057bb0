"""What is installed: from the wheel and in editable mode, run from another folder."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import sbanet

REPOSITORY = Path(__file__).resolve().parents[1]
EXPERIMENTS = sorted(path.name for path in (REPOSITORY / "experiments").glob("*.yaml"))
CONFIGS = sorted(
    path.relative_to(REPOSITORY / "conf").as_posix()
    for path in (REPOSITORY / "conf").rglob("*.yaml")
    if path.parent.name != "experiment"
)


def run(*command, cwd, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=clean | environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of what is under version control, so that a build leaves nothing behind."""
    folder = tmp_path_factory.mktemp("checkout") / "sbanet"
    folder.mkdir()
    for name in ("src", "conf", "experiments"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "Makefile"):
        shutil.copy(REPOSITORY / name, folder / name)
    for name in ("tests", "notebooks"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(scope="session")
def archives(checkout, tmp_path_factory):
    """The sdist, the wheel that is built from it, and the wheel that is built from the checkout."""
    out = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", str(checkout), "--outdir")
    run(*build, str(out / "both"), cwd=out)
    run(*build, str(out / "direct"), "--wheel", cwd=out)
    [sdist], [wheel] = (out / "both").glob("*.tar.gz"), (out / "both").glob("*.whl")
    [direct] = (out / "direct").iterdir()
    return {"sdist": sdist, "wheel": wheel, "direct": direct}


def test_one_version_everywhere():
    citation = (REPOSITORY / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == sbanet.__version__


def test_the_package_is_lazy():
    code = "import sys, sbanet; print('torch' in sys.modules, 'ReferringSegmenter' in dir(sbanet))"
    assert run(sys.executable, "-c", code, cwd=REPOSITORY, PYTHONPATH="src") == "False True\n"
    with pytest.raises(AttributeError, match="ReferringSegmenter"):
        sbanet.Segmenter  # noqa: B018
    assert sbanet.ReferringSegmenter.__name__ == "ReferringSegmenter"


def test_every_command_exists():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for target in project["scripts"].values():
        module, function = target.split(":")
        path = REPOSITORY / "src" / f"{module.replace('.', '/')}.py"
        assert re.search(rf"^def {function}\(", path.read_text(), re.MULTILINE), target


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "direct"])
def test_the_wheel_holds_every_config_once(archives, kind):
    names = zipfile.ZipFile(archives[kind]).namelist()
    assert len(names) == len(set(names))
    configs = [name for name in names if name.endswith(".yaml")]
    expected = [f"sbanet/conf/{name}" for name in CONFIGS]
    expected += [f"sbanet/conf/experiment/{name}" for name in EXPERIMENTS]
    assert sorted(name for name in configs if name.startswith("sbanet/conf/")) == sorted(expected)
    assert {"sbanet/py.typed", "sbanet/__init__.py"} <= set(names)
    others = [name for name in names if ".dist-info" not in name and not name.startswith("sbanet/")]
    assert others == ["hydra_plugins/sbanet_slurm.py"]  # Hydra takes launchers from there alone


@pytest.mark.slow
def test_the_source_archive_holds_every_config_once(archives):
    with tarfile.open(archives["sdist"]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert len(names) == len(set(names))
    configs = [name for name in names if name.startswith(("conf/", "experiments/")) and name.endswith(".yaml")]
    expected = [f"conf/{name}" for name in CONFIGS] + [f"experiments/{name}" for name in EXPERIMENTS]
    assert sorted(configs) == sorted(expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_installation_works_from_any_folder(archives, checkout, kind, tmp_path):
    wheel, editable = [str(archives["wheel"])], ["--no-build-isolation", "--editable", str(checkout)]
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env"), cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # the dependencies come from the environment that runs the tests; the package itself comes first
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "zz_dependencies.pth").write_text("\n".join(dependencies) + "\n")
    install = (python, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed")
    run(*install, *(wheel if kind == "wheel" else editable), cwd=tmp_path)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = run(python, "-c", "from sbanet.config import config_dir; print(config_dir())", cwd=elsewhere)
    assert Path(found.strip()) == (site / "sbanet" if kind == "wheel" else checkout) / "conf"
    experiment = "experiment=aeroscenes_sbanet"
    for command in ([python, "-m", "sbanet.check"], [python.with_name("sbanet-check")]):
        assert run(*command, experiment, cwd=elsewhere) == f"ok: {experiment}\n"
    assert list(elsewhere.iterdir()) == []
