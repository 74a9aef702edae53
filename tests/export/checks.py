"""MONAI's own checks of an exported bundle, in an interpreter that knows nothing of this project: `python checks.py BUNDLE`.

Works in the current folder, which gets model.ts and model.onnx. Prints one line of JSON: where the code was found, and how far the
traced and the ONNX network are from the network itself, as the largest difference of an output.
"""

import json
import sys
from pathlib import Path

import onnxruntime
import torch
from monai.bundle import ConfigParser, ckpt_export, onnx_export, verify_metadata, verify_net_in_out

import scripts


def main(bundle: Path) -> None:
    configs = [str(bundle / "configs" / name) for name in ("inference.json", "image_only.json")]
    of_bundle = {"meta_file": str(bundle / "configs" / "metadata.json"), "config_file": configs, "bundle_root": str(bundle)}
    of_file = {**of_bundle, "net_id": "network_def", "ckpt_file": str(bundle / "models" / "model.pt")}
    verify_metadata(meta_file=of_bundle["meta_file"], filepath=bundle / "docs" / "metadata_schema.json")
    verify_net_in_out(net_id="network_def", device="cpu", **of_bundle)
    ckpt_export(filepath="model.ts", use_trace=True, **of_file)
    onnx_export(filepath="model.onnx", use_trace=True, converter_kwargs={"optimize": False}, **of_file)

    parser = ConfigParser(ConfigParser.load_config_files(configs))
    parser.read_meta(of_bundle["meta_file"])
    parser["bundle_root"] = str(bundle)
    network = parser.get_parsed_content("network_def").eval()
    image = parser["_meta_"]["network_data_format"]["inputs"]["image"]
    images = torch.rand(1, image["num_channels"], *image["spatial_shape"], generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = network(images)
        traced = torch.jit.load("model.ts")(images)
    (answered,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    found = {"scripts": scripts.__file__, "shape": list(expected.shape), "spread": float(expected.std())}
    found |= {"traced": float((traced - expected).abs().max()), "onnx": float((torch.from_numpy(answered) - expected).abs().max())}
    print(json.dumps(found))


main(Path(sys.argv[1]).resolve())
