// Imported by every test of test/lab, first of all: they change the machine they run on, so they run in the lab only.
if (process.env['BANGER_LAB'] !== '1') throw new Error('this test belongs into the lab: make lab LAB=…');
