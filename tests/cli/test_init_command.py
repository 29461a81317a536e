"""What `init` prints can be pasted into a shell."""

from __future__ import annotations

from recs_assets.__main__ import main


def test_the_next_command_holds_names_with_blanks(tmp_path, capsys):
    folder = tmp_path / "my export"
    folder.mkdir()
    rows = [
        f"{n // 2},2024-01-{1 + n % 28:02d},k{n // 2 % 3},p{n % 4},Product {n % 4},1,2.5" for n in range(20)
    ]
    head = "order_id,order_date,customer_id,product_id,product_name,quantity,unit_price"
    (folder / "sales.csv").write_text("\n".join([head, *rows, ""]), "utf-8")
    assert main(["init", str(folder), "--to", str(tmp_path / "my shops")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"  RECS_SHOPS='{tmp_path}/my shops' RECS_SOURCE=my_export RECS_DATA='{folder}' python -m recs_assets run"
    )
