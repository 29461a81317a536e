"""Files of text that no shop's run may read, each with the start of the sentence that refuses it."""

from __future__ import annotations

import gzip

HEADER = "order_id,customer_id,ordered_at,status\n"
ROW = "o1,c1,2024-05-01 10:00:00,completed\n"
ITEMS = "order_id,line_id,product_id,quantity,amount\n"

# Case: file name, content, sentence.
CSV_FAILURES = {
    "empty file": ("orders.csv", "", "orders.csv: the file is empty (0 bytes); export it again."),
    "header only, required table": (
        "orders.csv",
        HEADER,
        "orders.csv: it declares columns but holds 0 rows; export it again with its rows.",
    ),
    "missing column": (
        "orders.csv",
        "order_id,customer_id,ordered_at\no1,c1,2024-05-01\n",
        "orders.csv line 1: column 'status' is missing (found: order_id, customer_id, ordered_at); "
        "add it to the export.",
    ),
    "renamed column": (
        "orders.csv",
        "order_id,customer_id,order_date,status\no1,c1,2024-05-01,completed\n",
        "orders.csv line 1: column 'ordered_at' is missing and 'order_date' is not declared: rename "
        "'order_date' to 'ordered_at' if that is what it holds.",
    ),
    "column in capitals": (
        "orders.csv",
        "Order_ID,customer_id,ordered_at,status\no1,c1,2024-05-01,completed\n",
        "orders.csv line 1: column 'order_id' is missing and 'Order_ID' is not declared: rename 'Order_ID' "
        "to 'order_id' if that is what it holds.",
    ),
    "renamed optional column": (
        "orders.csv",
        "order_id,customer_id,ordered_at,status,currenci\no1,c1,2024-05-01,completed,EUR\n",
        "orders.csv line 1: column 'currenci' is not declared: rename it to 'currency' "
        "(declared columns: order_id, customer_id, ordered_at, status, currency, updated_at).",
    ),
    "unknown column": (
        "orders.csv",
        "order_id,customer_id,ordered_at,status,xyz\no1,c1,2024-05-01,completed,1\n",
        "orders.csv line 1: column 'xyz' is not declared: leave it out of the export "
        "(declared columns: order_id, customer_id, ordered_at, status, currency, updated_at).",
    ),
    "doubled column": (
        "orders.csv",
        "order_id,customer_id,ordered_at,status,status\no1,c1,2024-05-01,a,b\n",
        "orders.csv line 1: column 'status' stands there twice; keep one of them.",
    ),
    "semicolons": (
        "orders.csv",
        "order_id;customer_id;ordered_at;status\no1;c1;2024-05-01;completed\n",
        "orders.csv line 1: the columns are separated by semicolons; save the file with commas.",
    ),
    "tabs": (
        "orders.csv",
        "order_id\tcustomer_id\tordered_at\tstatus\no1\tc1\t2024-05-01\tcompleted\n",
        "orders.csv line 1: the columns are separated by tabs; save the file with commas.",
    ),
    "retyped: a date that is none": (
        "orders.csv",
        HEADER + ROW + "o2,c1,01.05.2024,completed\n",
        "orders.csv line 3: column 'ordered_at' holds '01.05.2024', which is not a time like "
        "2024-12-31 23:59:59 or 2024-12-31T23:59:59+01:00; correct the export.",
    ),
    "retyped in several rows, after a quoted line break and a blank line": (
        "orders.csv",
        HEADER + '"o\n1",c1,2024-05-01,completed\n\n' + "o2,c1,soon,completed\no3,c1,later,completed\n",
        "orders.csv line 5: column 'ordered_at' holds 'soon', which is not a time like 2024-12-31 "
        "23:59:59 or 2024-12-31T23:59:59+01:00 (2 rows of this column are wrong); correct the export.",
    ),
    "infinite time": (
        "orders.csv",
        HEADER + "o1,c1,infinity,completed\n",
        "orders.csv line 2: column 'ordered_at' holds 'infinity', which is not a time",
    ),
    "an address is never quoted": (
        "orders.csv",
        HEADER + "o1,c1,ann@example.com,completed\n",
        "orders.csv line 2: column 'ordered_at' holds a value, which is not a time",
    ),
    "cut off mid-row": (
        "orders.csv",
        HEADER + ROW + "o2,c1,2024-0",
        "orders.csv: its last line has no line break, so it may be cut off; export it again, or end "
        "the line, or vouch for the file in manifest.json.",
    ),
    "short line": (
        "orders.csv",
        HEADER + "o2,c1,2024-05-01\n" + ROW,
        "orders.csv line 2: it has 3 fields where the header has 4 (column 'status' and what follows are not "
        "there); the line is cut off, export the file again.",
    ),
    "cut off in quotes": (
        "orders.csv",
        HEADER + ROW + 'o2,"c1\n',
        "orders.csv line 3: a double quote in column 'customer_id' is not closed; the file is cut "
        "off there, or a quote inside a value is not doubled.",
    ),
    "decimal comma": (
        "order_items.csv",
        ITEMS + "o1,1,p1,1,2,50\n",
        "order_items.csv line 2: it has 6 fields where the header has 5; put values that hold commas "
        "(decimal commas too) in double quotes, or write decimals with a point.",
    ),
    "quoted decimal comma": (
        "order_items.csv",
        ITEMS + 'o1,1,p1,1,"2,50"\n',
        "order_items.csv line 2: column 'amount' holds '2,50', which is not a number; write decimals "
        "with a point.",
    ),
    "thousands underscore": (
        "order_items.csv",
        ITEMS + "o1,1,p1,1,1_000\n",
        "order_items.csv line 2: column 'amount' holds '1_000', which is not a number; correct the export.",
    ),
    "NaN": (
        "order_items.csv",
        ITEMS + "o1,1,p1,1,NaN\n",
        "order_items.csv line 2: column 'amount' holds 'NaN', which is not a number; correct the export.",
    ),
    "infinity": (
        "order_items.csv",
        ITEMS + "o1,1,p1,1,1e999\n",
        "order_items.csv line 2: column 'amount' holds '1e999', which is not a number; correct the export.",
    ),
    "Latin-1": (
        "orders.csv",
        (HEADER + ROW).encode() + "o2,Zoë,2024-05-01,completed\n".encode("latin-1"),
        "orders.csv line 3: byte 81 of the file (0xeb) is not UTF-8; save the file as UTF-8 (it may "
        "be Latin-1).",
    ),
    "UTF-16 without a mark": (
        "orders.csv",
        (HEADER + ROW).encode("utf-16-be"),
        "orders.csv: it is written in UTF-16 or UTF-32; save it as UTF-8.",
    ),
    "a gzip file under another name": (
        "orders.csv",
        gzip.compress((HEADER + ROW).encode()),
        "orders.csv: it is a gzip file (.gz), not text; unpack or export it, or correct its name.",
    ),
    "a spreadsheet under another name": (
        "orders.csv",
        b"PK\x03\x04\x14\x00",
        "orders.csv: it is a zip file or a spreadsheet, not text; unpack or export it, or correct its name.",
    ),
    "UTF-16": (
        "orders.csv",
        (HEADER + ROW).encode("utf-16"),
        "orders.csv: it is written in UTF-16 or UTF-32; save it as UTF-8.",
    ),
    "cut off inside a character": (
        "orders.csv",
        (HEADER + "o1,Zo").encode() + "ë".encode()[:1],
        "orders.csv line 2: the file ends inside a character; it was cut off, copy it again.",
    ),
    "mixed line breaks": (
        "orders.csv",
        HEADER + ROW.replace("\n", "\r\n") + ROW,
        "orders.csv line 2: it ends differently from the first line (Windows and Unix line breaks "
        "are mixed); save the file with one kind.",
    ),
}

CSV_FAILURES |= {
    "Excel's line above the header, and a short line": (
        "orders.csv",
        "sep=,\n" + HEADER + ROW + "o2,c1,2024-05-01\n" + ROW,
        "orders.csv line 4: it has 3 fields where the header has 4 (column 'status' and what follows are not "
        "there); the line is cut off, export the file again.",
    ),
    "Excel's line above the header, and a value that is none": (
        "orders.csv",
        "sep=;\r\n" + (HEADER + ROW + "o2,c1,soon,x\n").replace(",", ";").replace("\n", "\r\n"),
        "orders.csv line 4: column 'ordered_at' holds 'soon', which is not a time",
    ),
    "Excel's line above the header, and a missing column": (
        "orders.csv",
        "sep=,\norder_id,customer_id,status\no1,c1,x\n",
        "orders.csv line 2: column 'ordered_at' is missing (found: order_id, customer_id, status); add it",
    ),
    "Excel's line says another separator than the header": (
        "orders.csv",
        "sep=;\n" + HEADER + ROW,
        "orders.csv line 2: the columns are separated by commas; save the file with semicolons.",
    ),
    "Excel's line says a separator that is none": (
        "orders.csv",
        "sep=x\n" + HEADER + ROW,
        "orders.csv line 1: it declares 'x' as the separator; save the file with commas.",
    ),
    "commas in a tab-separated file": (
        "orders.tsv",
        HEADER + ROW,
        "orders.tsv line 1: the columns are separated by commas; save the file with tabs.",
    ),
    "a tab too many": (
        "orders.tsv",
        (HEADER + ROW).replace(",", "\t") + "o2\tc1\t2024-05-01\tx\ty\n",
        "orders.tsv line 3: it has 5 fields where the header has 4; put values that hold tabs in double quotes.",
    ),
    "semicolons in a .txt file": (
        "orders.txt",
        HEADER.replace(",", ";") + ROW,
        "orders.txt line 1: it cannot be told whether commas or tabs separate the columns of a .txt file; save it "
        "as .csv or .tsv.",
    ),
    "commas and tabs in a .txt file": (
        "orders.txt",
        HEADER.replace(",", "\t", 1) + ROW,
        "orders.txt line 1: it cannot be told whether commas or tabs separate the columns",
    ),
    "gzip cut off": (
        "orders.csv.gz",
        gzip.compress((HEADER + ROW * 50).encode(), mtime=0)[:-9],
        "orders.csv.gz: the gzip file is cut off (its end is missing); copy it again.",
    ),
    "gzip in name only": (
        "orders.csv.gz",
        HEADER + ROW,
        "orders.csv.gz: it is not a gzip file, or is damaged; compress it again, or leave out .gz.",
    ),
    "gzip of nothing": (
        "orders.csv.gz",
        gzip.compress(b"", mtime=0),
        "orders.csv.gz: the file is empty (0 bytes once unpacked); export it again.",
    ),
    "gzip, and a value that is none": (
        "orders.CSV.gz",
        gzip.compress((HEADER + ROW + "o2,c1,soon,x\n").encode(), mtime=0),
        "orders.CSV.gz line 3: column 'ordered_at' holds 'soon', which is not a time",
    ),
    "gzip of a file that was cut off": (
        "orders.csv.gz",
        gzip.compress((HEADER + ROW + "o2,c1,2024").encode(), mtime=0),
        "orders.csv.gz: its last line has no line break, so it may be cut off",
    ),
    "the name of a zone": (
        "orders.csv",
        HEADER + ROW + "o1,c1,2024-05-01 10:00:00 Europe/Berlin,completed\n",
        "orders.csv line 3: column 'ordered_at' holds '2024-05-01 10:00:00 Europe/Berlin', which is not a time",
    ),
    "an offset of nothing": (
        "orders.csv",
        HEADER + "o1,c1,2024-05-01 +0200,completed\n",
        "orders.csv line 2: column 'ordered_at' holds '2024-05-01 +0200', which is not a time",
    ),
}

PRODUCT = '{"product_id": "p1", "name": "Tea", "price": 2.5}'

JSON_FAILURES = {
    "empty file": ("products.json", "", "products.json: the file is empty (0 bytes); export it again."),
    "empty array": (
        "products.json",
        "[]",
        "products.json: it declares columns but holds 0 rows; export it again with its rows.",
    ),
    "missing key everywhere": (
        "products.json",
        '[{"product_id": "p1", "price": 1}]',
        "products.json: column 'name' is missing (found: price, product_id); add it to the export.",
    ),
    "missing key in one record": (
        "products.json",
        f'[{PRODUCT}, {{"product_id": "p2"}}, {{"product_id": "p3"}}]',
        "products.json record 2: 'name' is missing (2 of 3 records lack it); write it in every record, "
        "null where unknown.",
    ),
    "missing key in one line": (
        "products.jsonl",
        f'{PRODUCT}\n\n{{"product_id": "p2"}}\n',
        "products.jsonl line 3: 'name' is missing (1 of 2 records lack it); write it in every record, "
        "null where unknown.",
    ),
    "renamed key": (
        "products.jsonl",
        '{"product_id": "p1", "title": "Tea"}\n',
        "products.jsonl: column 'name' is missing and 'title' is not declared: rename 'title' to 'name' "
        "if that is what it holds.",
    ),
    "unknown key in a late record": (
        "products.jsonl",
        f'{PRODUCT}\n{{"product_id": "p2", "name": "x", "prize": 3}}\n',
        "products.jsonl: column 'prize' is not declared: rename it to 'price' (declared columns: ",
    ),
    "retyped value": (
        "products.json",
        f'[{PRODUCT}, {{"product_id": "p2", "name": "x", "price": "cheap"}}]',
        "products.json record 2: column 'price' holds 'cheap', which is not a number; correct the export.",
    ),
    "retyped value on a line": (
        "products.ndjson",
        f'{PRODUCT}\n\n{{"product_id": "p2", "name": "x", "price": true}}\n',
        "products.ndjson line 3: column 'price' holds 'true', which is not a number; correct the export.",
    ),
    "decimal comma": (
        "products.jsonl",
        '{"product_id": "p1", "name": "x", "price": "2,50"}\n',
        "products.jsonl line 1: column 'price' holds '2,50', which is not a number; write decimals "
        "with a point.",
    ),
    "NaN": (
        "products.jsonl",
        '{"product_id": "p1", "name": "x", "price": NaN}\n',
        "products.jsonl line 1: column 'price' holds 'NaN', which is not a number; correct the export.",
    ),
    "cut off array": (
        "products.json",
        f"[{PRODUCT},\n {PRODUCT[:30]}",
        "products.json line 2 character 31: this is not JSON (unterminated string starting at); the "
        "file is cut off or damaged there, export it again.",
    ),
    "array cut off after a record": (
        "products.json",
        f"[{PRODUCT}",
        "products.json line 1 character 51: this is not JSON (expecting ',' delimiter); the file is "
        "cut off or damaged there, export it again.",
    ),
    "cut off line": (
        "products.jsonl",
        f"{PRODUCT}\n{PRODUCT[:19]}",
        "products.jsonl line 2 character 20: this is not JSON (expecting ',' delimiter); the file is "
        "cut off or damaged there, export it again.",
    ),
    "lines in a .json file": (
        "products.json",
        f"{PRODUCT}\n{PRODUCT}\n",
        "products.json line 1: it holds one record per line instead of one array; name it products.jsonl, "
        "or write an array.",
    ),
    "one object in a .json file": (
        "products.json",
        f'{{"products": [{PRODUCT}]}}',
        "products.json line 1: it holds one object where an array of records belongs; write [{...}, {...}].",
    ),
    "array in a .jsonl file": (
        "products.jsonl",
        f"[{PRODUCT}]\n",
        "products.jsonl: column 'product_id' is missing",
    ),
    "a key twice": (
        "products.jsonl",
        '{"product_id": "p1", "name": "x", "name": "y"}\n',
        "products.jsonl line 1: the key 'name' stands in one record twice; keep one.",
    ),
    "Latin-1": (
        "products.jsonl",
        PRODUCT.encode() + b"\n" + PRODUCT.replace("Tea", "Thé").encode("latin-1") + b"\n",
        "products.jsonl line 2: byte 83 of the file (0xe9) is not UTF-8; save the file as UTF-8 (it "
        "may be Latin-1).",
    ),
}
