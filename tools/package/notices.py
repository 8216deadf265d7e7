"""The two documents that say what a package is made of: THIRD-PARTY.txt for people, an SPDX 2.3 document (SBOM) for programs."""
import hashlib
import json
import time
import uuid

from components import Component

SOURCES = """Pippin is licensed under Apache-2.0 (LICENSE). It contains the works of others that are listed here, with their licences.

FFmpeg is licensed under LGPL-2.1-or-later and lies beside the program as shared libraries, which may be replaced. Its source is
Debian's source package of the version below; tools/package/libraries.py in Pippin's source says how it was configured.
"""


def third_party(components: list[Component]) -> str:
    """Returns the list of components, then each licence text once, under the names of all whose text it is."""
    lines = [SOURCES]
    lines += [f"{component.name} {component.version}: {component.license}" for component in components]
    texts: dict[str, list[str]] = {}
    for component in components:
        for text in component.texts or [f"{component.license}: the text that SPDX lists under this name"]:
            texts.setdefault(text, []).append(component.name)
    for text, names in texts.items():
        lines += ["", "=" * 100, ", ".join(names), "", text]
    return "\n".join(lines) + "\n"


def package(name: str, version: str, license: str, purl: str) -> dict:
    identity = hashlib.sha256(purl.encode()).hexdigest()[:16]
    return {"SPDXID": f"SPDXRef-{identity}", "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "licenseConcluded": license, "licenseDeclared": license, "copyrightText": "NOASSERTION",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]}


def sbom(components: list[Component], version: str, when: int) -> str:
    own = package("pippin", version, "Apache-2.0", f"pkg:generic/pippin@{version}")
    parts = [package(part.name, part.version, part.license, part.purl) for part in components]
    content = json.dumps([own, *parts])
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"pippin-{version}",
        "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when)), "creators": ["Tool: pippin-package"]},
        "packages": [own, *parts],
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": own["SPDXID"]},
                          *({"spdxElementId": own["SPDXID"], "relationshipType": "CONTAINS", "relatedSpdxElement": part["SPDXID"]}
                            for part in parts)]}, indent=1) + "\n"
