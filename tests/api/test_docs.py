"""/docs and /openapi.json: whole, offline, and true."""

import re
import tomllib
from typing import Any

from app import __version__
from app.api.docs import examples
from app.schemas.accounts import AccountAnswer
from app.schemas.job_answers import AttemptAnswer, JobAnswer
from app.schemas.job_requests import JobPatch, JobRequest
from tests.api.serving import Api, serving
from tests.support.repository import ROOT

METHODS = {"get", "post", "put", "patch", "delete"}


async def test_the_docs_page_needs_nobody_else(edge: Api) -> None:
    """Everything the page loads is here, and its policy allows nothing else."""
    async with edge.stranger() as browser:
        page = await browser.get("/docs")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "http" not in page.text
        assert not re.search(r"<script(?![^>]*\ssrc=)", page.text)
        assert "style=" not in page.text
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(links) == 4
        for link in links:
            asset = await browser.get(f"/{link}")
            assert asset.status_code == 200, link
            assert asset.content
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_the_docs_ask_no_validator(edge: Api) -> None:
    """Swagger UI's habit of sending the schema to the internet is off."""
    script = await edge.client.get("/docs/init.js")
    assert "validatorUrl: null" in script.text


async def test_the_docs_give_no_other_file(edge: Api) -> None:
    """Only the three named files are served from the package."""
    for name in ("__init__.py", "..%2fmain.py", "%2e%2e/main.py", "", "x"):
        assert (await edge.client.get(f"/docs/{name}")).status_code == 404


async def operations(api: Api) -> list[dict[str, Any]]:
    """Return every operation of the document."""
    document = (await api.client.get("/openapi.json")).json()
    return [
        operation | {"path": path}
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


async def test_the_document_has_the_version_of_the_package(edge: Api) -> None:
    """A generated client knows which release it talks to."""
    document = (await edge.client.get("/openapi.json")).json()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert document["info"]["version"] == __version__
    assert document["info"]["title"] == project["name"]


async def test_every_operation_is_named_tagged_and_explained(edge: Api) -> None:
    """Client generators get stable names, readers a summary and a section."""
    document = (await edge.client.get("/openapi.json")).json()
    tags = {tag["name"] for tag in document["tags"]}
    found = await operations(edge)
    names = [each["operationId"] for each in found]
    assert len(names) == len(set(names))
    for each in found:
        assert re.fullmatch(r"[a-z][a-zA-Z]+", each["operationId"]), each["path"]
        assert each["summary"]
        assert set(each["tags"]) <= tags
        assert len(each["tags"]) == 1


async def test_every_operation_can_be_read_without_the_code(edge: Api) -> None:
    """A description of its own, a body to try, and each error with its code."""
    for each in await operations(edge):
        name = each["operationId"]
        assert len(each["description"]) > len("Show a job"), name
        assert each["description"] != each["summary"]
        for content in each.get("requestBody", {}).get("content", {}).values():
            assert content["examples"], name
        for status, response in each["responses"].items():
            for content in response.get("content", {}).values():
                if int(status) >= 400:
                    examples_of = content["examples"]
                    assert examples_of, (name, status)
                    for code, example in examples_of.items():
                        assert example["value"]["code"] == code
                        assert example["value"]["status"] == int(status)


async def test_the_answers_shown_are_answers(edge: Api) -> None:
    """Each example says exactly the fields that its answer has."""
    document = (await edge.client.get("/openapi.json")).json()
    for name, example in examples.MODELS.items():
        schema = document["components"]["schemas"][name]
        assert schema["examples"] == [example]
        assert list(example) == list(schema["properties"]), name
    for model, example in (
        (JobAnswer, examples.JOB),
        (AttemptAnswer, examples.ATTEMPT),
        (AccountAnswer, examples.ACCOUNT),
    ):
        answer = model.model_validate(example)
        assert answer.model_dump(mode="json", by_alias=True) == example


async def test_no_parameter_can_be_null(edge: Api) -> None:
    """The document never says that a parameter may be null: nobody can send one."""
    for each in await operations(edge):
        for parameter in each.get("parameters", ()):
            assert "null" not in str(parameter["schema"]), each["operationId"]


async def test_no_field_is_titled_after_itself(edge: Api) -> None:
    """Page and clients show the name; "Scheduledfor" beside it would be noise."""
    document = (await edge.client.get("/openapi.json")).json()
    for schema in document["components"]["schemas"].values():
        for field in schema.get("properties", {}).values():
            assert "title" not in field


async def test_the_job_operations_keep_their_names(edge: Api) -> None:
    """Names that generated clients call stay as they are."""
    names = {each["operationId"] for each in await operations(edge)}
    assert names >= {
        *("createJob", "listJobs", "getJob", "editJob", "deleteJob"),
        *("retryJob", "listAttempts", "tick", "tickByGet", "isAlive", "isReady"),
    }


async def test_every_declared_error_is_a_problem(edge: Api) -> None:
    """Errors are documented as problem+json, and FastAPI's own form nowhere."""
    document = (await edge.client.get("/openapi.json")).json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert "Problem" in document["components"]["schemas"]
    for each in await operations(edge):
        for status, response in each["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]


async def test_everything_under_v1_declares_its_key(edge: Api) -> None:
    """The document says where a key is needed, and which."""
    document = (await edge.client.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) >= {"apiKey", "cronSecret"}
    for each in await operations(edge):
        if each["path"].startswith("/v1"):
            assert each["security"] == [{"apiKey": []}], each["path"]
            assert "401" in each["responses"]
    (tick, by_get) = (e for e in await operations(edge) if e["path"] == "/cron/tick")
    assert tick["security"] == by_get["security"] == [{"cronSecret": []}]


async def test_the_examples_work(sqlite_url: str) -> None:
    """Each request on the docs page is accepted as it stands."""
    async with serving(sqlite_url, allow_private_urls=True) as api:
        for example in examples.JOBS.values():
            JobRequest.model_validate(example["value"])
            response = await api.client.post("/v1/jobs", json=example["value"])
            assert response.status_code == 201, response.text
            if response.json()["post"]["mode"] == "inbox":
                continue  # a video draft has nothing that these change
            for change in examples.PATCHES.values():
                JobPatch.model_validate(change["value"])
                path = response.headers["location"]
                patched = await api.client.patch(path, json=change["value"])
                assert patched.status_code == 200, patched.text
